package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tenantwatch/tenantwatch/managerapi"
)

// churn lets tenants come and go, by the REST API like anybody else.
type churn struct {
	api                  *managerapi.Client
	service, environment string
	target               int           // how many active tenants there should be, about
	intn                 func(int) int // a random number below its argument
	failed               func(context.Context, error)

	// What it believes of the tenants, by what it has done. Somebody else's change shows in a refusal, after which it
	// believes what was refused because it was so already.
	active, suspended []string
	gone              []string        // whose association was ended
	whole             map[string]bool // those of the suspended that are so for every service
	made              int
}

// What all tenants have that dev makes.
const (
	isolation  = "shared"
	ownerEmail = "owner@tenant.example"
)

func newTenant(name, environment string) managerapi.CreateTenantRequest {
	return managerapi.CreateTenantRequest{
		Name: name, Environment: environment, Isolation: isolation, Owner: managerapi.Owner{Email: ownerEmail},
	}
}

// move is one kind of change.
type move uint8

const (
	moveCreate move = iota
	moveReactivate
	moveAssociate
	moveSuspend
	moveDisassociate
	moveRotate
)

// run makes one change every interval until ctx ends. The first comes after one interval.
func (c *churn) run(ctx context.Context, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := c.step(ctx); err != nil && ctx.Err() == nil {
			c.failed(ctx, err)
		}
	}
}

// step makes one change. That somebody else was there first, by curl, is not an error.
func (c *churn) step(ctx context.Context) error {
	err := c.do(ctx, choose(len(c.active), c.target, len(c.suspended), len(c.gone), c.intn))
	for _, settled := range []error{managerapi.ErrConflict, managerapi.ErrNotFound, managerapi.ErrAccessDenied} {
		if errors.Is(err, settled) {
			return nil
		}
	}
	return err
}

// choose picks the next move. One in ten is a rotation. The more active tenants there are, compared with the target, the
// less likely it is that one more comes; new ones are made until there are enough to bring back.
func choose(active, target, suspended, gone int, intn func(int) int) move {
	if active > 0 && intn(10) == 0 {
		return moveRotate
	}
	if active > 0 && intn(2*target+1) < active {
		if intn(3) == 0 {
			return moveDisassociate
		}
		return moveSuspend
	}
	fresh := max(1, target/4) // how readily a new one is made, compared with bringing one back
	if active+suspended+gone >= 2*target+10 {
		fresh = 0
	}
	switch n := intn(suspended + gone + fresh); {
	case n < suspended:
		return moveReactivate
	case n < suspended+gone:
		return moveAssociate
	default:
		return moveCreate
	}
}

func (c *churn) do(ctx context.Context, m move) error {
	switch m {
	case moveReactivate:
		return c.reactivate(ctx, c.take(&c.suspended))
	case moveAssociate:
		return c.associate(ctx, c.take(&c.gone))
	case moveSuspend:
		return c.suspend(ctx, c.take(&c.active))
	case moveDisassociate:
		id := c.take(&c.active)
		c.gone = append(c.gone, id)
		return c.api.DeleteAssociation(ctx, id, c.service)
	case moveRotate:
		return c.api.RotateCredentials(ctx, c.active[c.intn(len(c.active))], c.service)
	default:
		return c.create(ctx)
	}
}

func (c *churn) create(ctx context.Context) error {
	c.made++
	created, err := c.api.CreateTenant(ctx, newTenant(fmt.Sprintf("Churned %d", c.made), c.environment))
	if err != nil {
		return err
	}
	return c.associate(ctx, created.ID)
}

func (c *churn) associate(ctx context.Context, id string) error {
	_, err := c.api.CreateAssociation(ctx, id, c.service, managerapi.CreateAssociationRequest{IsolationMode: isolation})
	switch {
	case err == nil || errors.Is(err, managerapi.ErrConflict):
		c.active = append(c.active, id)
	case !errors.Is(err, managerapi.ErrNotFound): // somebody has deleted it
		c.gone = append(c.gone, id)
	}
	return err
}

// suspend does so for this service alone three times out of four. After the other kind every service has to read its
// list again.
func (c *churn) suspend(ctx context.Context, id string) error {
	c.suspended = append(c.suspended, id)
	if c.intn(4) > 0 {
		return c.api.SuspendAssociation(ctx, id, c.service)
	}
	if c.whole == nil {
		c.whole = map[string]bool{}
	}
	c.whole[id] = true
	return c.api.SuspendTenant(ctx, id)
}

func (c *churn) reactivate(ctx context.Context, id string) error {
	c.active = append(c.active, id)
	if !c.whole[id] {
		return c.api.ReactivateAssociation(ctx, id, c.service)
	}
	delete(c.whole, id)
	return c.api.ReactivateTenant(ctx, id)
}

// take removes a random id and returns it.
func (c *churn) take(ids *[]string) string {
	i := c.intn(len(*ids))
	id := (*ids)[i]
	*ids = slices.Delete(*ids, i, i+1)
	return id
}
