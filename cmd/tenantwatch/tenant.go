package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// pageSize is how many rows are asked for at once.
const pageSize = 500

// The codes of conflicts that say that there is nothing left to do.
const (
	codeAlreadySuspended  = "ALREADY_SUSPENDED"
	codeNotSuspended      = "NOT_SUSPENDED"
	codeNoAssociation     = "ASSOCIATION_NOT_FOUND"
	codeAlreadyAssociated = "ALREADY_ASSOCIATED"
)

// tenantCommand is what can be done to tenants.
type tenantCommand struct {
	Create tenantCreateCommand `cmd:"" help:"Make a tenant."`

	List tenantListCommand `cmd:"" help:"Show the tenants, oldest first."`

	Get tenantGetCommand `cmd:"" help:"Show one tenant and its associations."`

	Suspend tenantSuspendCommand `cmd:"" help:"Suspend a tenant: it is inactive for all services until it is reactivated."`

	Reactivate tenantReactivateCommand `cmd:"" help:"End the suspension of a tenant."`

	Delete tenantDeleteCommand `cmd:"" help:"Delete a tenant and its associations for good."`
}

type tenantCreateCommand struct {
	managerFlags

	Name string `arg:"" form:"text" help:"The name for people."`

	Slug string `help:"The short name. Without this flag it is made from the name."`

	Environment string `form:"name" help:"The environment. It has to be that of the manager, which is also the default."`

	Isolation string `default:"shared" help:"How the tenant's data is kept apart, such as shared or isolated."`

	OwnerEmail string `help:"The email address of the tenant's first user." name:"owner-email" placeholder:"ADDRESS"`

	Metadata map[string]string `form:"text" help:"Further data about the tenant. May be repeated." placeholder:"KEY=VALUE"`
}

// createdTenant is a new tenant for programs.
type createdTenant struct {
	managerapi.CreatedTenant

	Created bool `json:"created"`
}

// Run makes the tenant, or finds the very same one.
func (c *tenantCreateCommand) Run(ctx context.Context, std streams) error {
	environment, err := tenant.ParseEnvironment(c.Environment)
	if err != nil {
		return &usageError{text: "--environment: " + err.Error(), advice: seeHelp("tenant create")}
	}
	return c.change(ctx, std, func(ctx context.Context, s *session) error {
		created, err := s.CreateTenant(ctx, managerapi.CreateTenantRequest{
			Name: c.Name, Slug: c.Slug, Environment: environment, Isolation: c.Isolation, Metadata: c.Metadata,
			Owner: managerapi.Owner{Email: c.OwnerEmail},
		})
		if err != nil {
			return err
		}
		word := "it is there already"
		if created.Created {
			word = "created"
		}
		return s.made("created_tenant", createdTenant{*created, created.Created}, created.ID, word+", with the slug "+shown(created.Slug))
	})
}

type tenantListCommand struct {
	managerFlags

	Search string `form:"text" help:"List only tenants with this text in their name, slug or id." placeholder:"TEXT"`

	Status string `help:"List only tenants with this status: active or suspended." placeholder:"STATUS"`

	Service string `help:"List only tenants that are associated with this service." placeholder:"NAME"`

	Limit int `help:"List at most so many tenants. 0 means all." placeholder:"N"`
}

// Run prints page by page, so that a million tenants take no more memory than a page.
func (c *tenantListCommand) Run(ctx context.Context, std streams) error {
	if c.Limit < 0 {
		return &usageError{text: "--limit has to be 0 or more", advice: "Run \"tenantwatch tenant list --help\" for the flags."}
	}
	return c.read(ctx, std, func(ctx context.Context, s *session) error {
		list := &listing{session: s, noun: "tenant", header: []string{"ID", "SLUG", "STATUS", "CREATED", "NAME"}}
		query := managerapi.TenantQuery{Search: c.Search, Status: c.Status, Service: c.Service, Limit: pageSize}
		for {
			if c.Limit > 0 {
				query.Limit = min(pageSize, c.Limit-list.printed)
			}
			found, err := s.Admin().Tenants(ctx, query)
			if err != nil {
				return err
			}
			if err := page(list, found.Tenants, tenantCells); err != nil {
				return err
			}
			if query.After = found.Next; query.After == "" || c.Limit > 0 && list.printed >= c.Limit {
				return list.end()
			}
		}
	})
}

func tenantCells(t managerapi.Tenant) []string {
	return []string{t.ID, t.Slug, t.Status, day(t.CreatedAt), t.Name}
}

type tenantGetCommand struct {
	managerFlags
	tenantArgument
}

// tenantArgument is the tenant that a command is about.
type tenantArgument struct {
	ID string `arg:"" help:"The tenant's id." name:"tenant-id"`
}

// tenantView is a tenant for programs.
type tenantView struct {
	managerapi.Tenant

	Associations []managerapi.AssociationInfo `json:"associations"`
}

// Run prints the tenant.
func (c *tenantGetCommand) Run(ctx context.Context, std streams) error {
	return c.read(ctx, std, func(ctx context.Context, s *session) error {
		found, err := s.Tenant(ctx, c.ID)
		if err != nil {
			return err
		}
		associations, err := s.Admin().Associations(ctx, c.ID)
		if err != nil {
			return err
		}
		if s.asJSON {
			return s.out.object("tenant", time.Now(), tenantView{*found, append([]managerapi.AssociationInfo{}, associations...)})
		}
		if err := columns(s.out, tenantLines(found)); err != nil || len(associations) == 0 {
			return err
		}
		lines := [][]string{{"SERVICE", "STATUS", "ISOLATION", "SINCE"}}
		for _, a := range associations {
			lines = append(lines, []string{a.ServiceName, a.Status, a.IsolationMode, day(a.CreatedAt)})
		}
		if err := s.out.line(""); err != nil {
			return err
		}
		return columns(s.out, lines)
	})
}

func tenantLines(t *managerapi.Tenant) [][]string {
	var metadata []string
	for _, key := range slices.Sorted(maps.Keys(t.Metadata)) {
		metadata = append(metadata, key+"="+t.Metadata[key])
	}
	return [][]string{
		{"id", t.ID},
		{"name", t.Name},
		{"slug", t.Slug},
		{"status", t.Status},
		{"environment", t.Environment},
		{"isolation", t.Isolation},
		{"metadata", strings.Join(metadata, ", ")},
		{"created", day(t.CreatedAt)},
		{"updated", day(t.UpdatedAt)},
	}
}

// transition is what a change of state answers to programs.
type transition struct {
	ID      string `json:"id"`
	Service string `json:"service,omitempty"`
	Status  string `json:"status"`
	Changed bool   `json:"changed"` // false: it was so already
}

// tell tells of a transition.
func (s *session) tell(t transition) error {
	what := shown(t.ID)
	if t.Service != "" {
		what += " for " + shown(t.Service)
	}
	word := map[bool]string{true: "is", false: "was"}[t.Changed]
	return s.done("transition", t, "%s %s %s%s", what, word, t.Status, map[bool]string{false: " already"}[t.Changed])
}

type tenantSuspendCommand struct {
	managerFlags
	tenantArgument
}

// Run suspends the tenant.
func (c *tenantSuspendCommand) Run(ctx context.Context, std streams) error {
	return c.change(ctx, std, func(ctx context.Context, s *session) error {
		made, err := changed(s.SuspendTenant(ctx, c.ID), codeAlreadySuspended)
		if err != nil {
			return err
		}
		return s.tell(transition{ID: c.ID, Status: tenant.StatusSuspended, Changed: made})
	})
}

type tenantReactivateCommand struct {
	managerFlags
	tenantArgument
}

// Run reactivates the tenant.
func (c *tenantReactivateCommand) Run(ctx context.Context, std streams) error {
	return c.change(ctx, std, func(ctx context.Context, s *session) error {
		made, err := changed(s.ReactivateTenant(ctx, c.ID), codeNotSuspended)
		if err != nil {
			return err
		}
		return s.tell(transition{ID: c.ID, Status: tenant.StatusActive, Changed: made})
	})
}

type tenantDeleteCommand struct {
	managerFlags
	tenantArgument
	sureFlags
}

// sureFlags are of commands that cannot be undone.
type sureFlags struct {
	Yes bool `help:"Do it without asking, as a script has to."`
}

// sure has whoever is at the terminal type the tenant's slug. Where nobody can be asked --yes has to be given.
func (f *sureFlags) sure(ctx context.Context, s *session, id, what string) error {
	if f.Yes {
		return nil
	}
	if !s.asks() || s.token.name == standardInput {
		return &usageError{text: what + " cannot be undone, and there is no terminal to ask", advice: "Say --yes if you are sure."}
	}
	found, err := s.Tenant(ctx, id)
	if err != nil {
		return err
	}
	question := fmt.Sprintf("%s: %s, %q. It cannot be undone. Type its slug, %s:", what, shown(found.ID), shown(found.Name), shown(found.Slug))
	return s.confirm(ctx, question, found.Slug)
}

// Run deletes the tenant.
func (c *tenantDeleteCommand) Run(ctx context.Context, std streams) error {
	return c.change(ctx, std, func(ctx context.Context, s *session) error {
		if err := c.sure(ctx, s, c.ID, "Deleting a tenant"); err != nil {
			return err
		}
		if err := s.DeleteTenant(ctx, c.ID); err != nil {
			return err
		}
		return s.tell(transition{ID: c.ID, Status: "deleted", Changed: true})
	})
}
