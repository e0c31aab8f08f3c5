package relay

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/internal/contract"
)

// op is one change that a writer makes.
type op struct {
	Number  int // over all changes of its writer
	Slug    string
	Kind    string
	Service string
}

// shadow is a tenant as it has to be after the changes that were made.
type shadow struct {
	status       string // of the tenant; empty before it is made
	associations []*shadowAssociation
	number       int // of the op that changed it last
}

type shadowAssociation struct {
	service, status   string
	rotations, number int
}

func (s *shadow) find(service string) *shadowAssociation {
	for _, a := range s.associations {
		if a.service == service {
			return a
		}
	}
	return nil
}

// kinds are the changes that the state of things allows, for a service or none.
func (s *shadow) kinds(service string) []string {
	a := s.find(service)
	switch {
	case s.status == "":
		return []string{"create"}
	case s.status == "deleted":
		return nil
	case s.status == "suspended":
		return []string{"reactivate", "reactivate", "reactivate", "update", "delete"}
	case a == nil || a.status == "purged":
		return []string{"associate", "associate", "associate", "associate", "suspend", "update"}
	case a.status == "suspended":
		return []string{"reactivate service", "reactivate service", "disassociate", "suspend"}
	}
	return []string{"suspend", "suspend service", "connections", "rotate", "disassociate", "purge", "update", "suspend"}
}

// apply makes the change, and returns the events that it has to announce, each as its type and service.
func (s *shadow) apply(o op) []string {
	a := s.find(o.Service)
	switch o.Kind {
	case "create":
		s.status = "active"
		return []string{"tenant.created "}
	case "update":
		s.number = o.Number
		return []string{"tenant.updated "}
	case "suspend":
		s.status = "suspended"
		return []string{"tenant.suspended "}
	case "reactivate":
		s.status = "active"
		events := []string{"tenant.activated "}
		for _, a := range s.associations {
			if a.status == "active" {
				events = append(events, "tenant.service.reactivated "+a.service)
			}
		}
		return events
	case "delete":
		s.status, s.associations = "deleted", nil
		return []string{"tenant.deleted "}
	case "associate":
		s.drop(o.Service)
		s.associations = append(s.associations, &shadowAssociation{service: o.Service, status: "active"})
		return []string{"tenant.service.associated " + o.Service}
	case "suspend service":
		a.status = "suspended"
		return []string{"tenant.service.suspended " + o.Service}
	case "reactivate service":
		a.status = "active"
		return []string{"tenant.service.reactivated " + o.Service}
	case "disassociate":
		s.drop(o.Service)
		return []string{"tenant.service.disassociated " + o.Service}
	case "purge":
		a.status = "purged"
		return []string{"tenant.service.purged " + o.Service}
	case "connections":
		a.number = o.Number
		return []string{"tenant.connections.updated " + o.Service}
	case "rotate":
		a.rotations++
		return []string{"tenant.credentials.rotated " + o.Service}
	}
	panic("no such change: " + o.Kind)
}

func (s *shadow) drop(service string) {
	s.associations = slices.DeleteFunc(s.associations, func(a *shadowAssociation) bool { return a.service == service })
}

// writer makes changes of tenants of its own, one after the other, and says so: "try" before each, "ack" after it.
type writer struct {
	store   *store.Store
	relay   *Relay
	dice    *rand.Rand
	name    string
	tenants []*shadow
	ids     []string
	number  int
}

// talk is the way out of all writers of a process.
var talk sync.Mutex

func newWriter(s *store.Store, r *Relay, life, number int) *writer {
	return &writer{
		store: s, relay: r, name: fmt.Sprintf("l%d-w%d", life, number), dice: rand.New(rand.NewPCG(uint64(life), uint64(number))), //nolint:gosec // a game
	}
}

// run makes changes until ctx ends or one fails.
func (w *writer) run(ctx context.Context) {
	for ctx.Err() == nil {
		o, i := w.next()
		w.say("try", o, nil)
		if err := w.do(ctx, o, i); err != nil {
			w.say("err", o, err)
			return
		}
		w.say("ack", o, nil)
		w.tenants[i].apply(o)
		w.relay.Wake()
	}
}

// next draws a change of one of the last tenants, or a new tenant.
func (w *writer) next() (o op, place int) {
	w.number++
	for {
		if len(w.tenants) == 0 || w.dice.IntN(20) == 0 {
			w.tenants, w.ids = append(w.tenants, &shadow{}), append(w.ids, "")
		}
		place = len(w.tenants) - 1 - w.dice.IntN(min(5, len(w.tenants)))
		service := "service-" + strconv.Itoa(w.dice.IntN(4))
		kinds := w.tenants[place].kinds(service)
		if len(kinds) == 0 {
			continue
		}
		return op{
			Number: w.number, Slug: fmt.Sprintf("%s-t%d", w.name, place), Kind: kinds[w.dice.IntN(len(kinds))], Service: service,
		}, place
	}
}

func (w *writer) do(ctx context.Context, o op, place int) error {
	id, s := w.ids[place], w.store
	var err error
	switch o.Kind {
	case "create":
		var made store.Tenant
		made, _, err = s.CreateTenant(ctx, store.NewTenant{Name: o.Slug, Slug: o.Slug})
		w.ids[place] = made.ID
	case "update":
		_, err = s.UpdateTenant(ctx, id, store.TenantPatch{Metadata: map[string]string{"number": strconv.Itoa(o.Number)}})
	case "suspend":
		err = s.SuspendTenant(ctx, id)
	case "reactivate":
		err = s.ReactivateTenant(ctx, id)
	case "delete":
		err = s.DeleteTenant(ctx, id)
	case "associate":
		_, err = s.Associate(ctx, id, o.Service, store.NewAssociation{})
	case "suspend service":
		err = s.SuspendAssociation(ctx, id, o.Service)
	case "reactivate service":
		err = s.ReactivateAssociation(ctx, id, o.Service)
	case "disassociate", "purge":
		err = s.Disassociate(ctx, id, o.Service, o.Kind == "purge")
	case "connections":
		_, _, err = s.UpdateConnections(ctx, id, o.Service, limitOf(o.Number))
	case "rotate":
		err = s.RotateCredentials(ctx, id, o.Service)
	}
	return err
}

// limitOf is a change of the connections to a limit.
func limitOf(n int) contract.Patch {
	patch, err := contract.ParsePatch(fmt.Appendf(nil, `{"maxOpenConns":%d}`, n))
	if err != nil {
		panic(err)
	}
	return patch
}

// word is one line of a writer.
type word struct {
	Word string
	Op   op
	Err  string `json:",omitempty"`
}

func (w *writer) say(what string, o op, err error) {
	line := word{Word: what, Op: o}
	if err != nil {
		line.Err = err.Error()
	}
	data, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	talk.Lock()
	defer talk.Unlock()
	_, _ = os.Stdout.Write(append(data, '\n')) // one write, so that a kill cuts it nowhere
}
