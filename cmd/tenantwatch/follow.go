package main

import (
	"context"
	"os"

	"github.com/tenantwatch/tenantwatch/discovery"
)

// followCommand shows the active tenants of a service and every change.
type followCommand struct {
	connectionFlags

	JSON bool `help:"Print one JSON object per line, on standard output and for changes of state." name:"json" variable:"TENANTWATCH_JSON"`

	Verbose bool `help:"Log on standard error." short:"v" variable:"TENANTWATCH_VERBOSE"`
}

// Help is what --help adds.
func (c *followCommand) Help() string {
	return `In the lines for changes, + means that a tenant came, - that it went, and ~ that its configuration changed.` + "\n\n" +
		`The states are: live, the set equals the manager's list; syncing, a list is on its way; polling, no events arrive from ` +
		`Redis, so that the manager is asked again and again; stale, the manager gives no list.` + "\n\n" +
		`With --feed stream a publisher has to add the events to the stream, as dev does. A stream has the events of one ` +
		`environment. Without --environment, follow reads the stream of the events that name no environment.`
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
