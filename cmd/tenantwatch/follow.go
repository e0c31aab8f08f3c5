package main

import (
	"context"
	"os"

	"github.com/tenantwatch/tenantwatch/discovery"
)

// followCommand shows the active tenants of a service and every change.
type followCommand struct {
	connectionFlags

	JSON bool `help:"One JSON object a line, on standard output and for changes of state." name:"json" variable:"TENANTWATCH_JSON"`

	Verbose bool `help:"Log on standard error." short:"v" variable:"TENANTWATCH_VERBOSE"`
}

// Help is what --help adds.
func (c *followCommand) Help() string {
	return `Standard output has the tenants that are active, and then a line for each change: + a tenant came, - it went, ` +
		`~ its configuration changed. Standard error has the changes of state, with their reason: live, syncing, polling ` +
		`(no events from Redis) or stale (no list from the manager). A flag wins over the environment. ` +
		`A stream needs a publisher that adds to it, as dev does, and has the events of one environment; without an ` +
		`environment it is the one for events that name none.`
}

// Run follows until ctx ends.
func (c *followCommand) Run(ctx context.Context, std streams) error {
	const command = "tenantwatch follow"
	s, err := c.settings(command, os.Getenv, std.in)
	if err != nil {
		return err
	}
	w := watcher{command: command, verbose: c.Verbose, asJSON: c.JSON, states: tellStatus(std.err, c.JSON), drift: tellDrift(std.err, c.JSON)}
	return c.watch(ctx, std, s, w, func(d *discovery.TenantDiscovery) error { return c.print(ctx, d, std) })
}

func (c *followCommand) print(ctx context.Context, d *discovery.TenantDiscovery, std streams) error {
	var rows table
	for change := range d.Changes(ctx) {
		var err error
		if c.JSON {
			err = std.out.object("change", change.At, newChangeLine(change))
		} else {
			err = std.out.line("%s", rows.row(change, ""))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
