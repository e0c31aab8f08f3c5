package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/tenantwatch/tenantwatch/cmd/internal/sqldb"
	"github.com/tenantwatch/tenantwatch/internal/contract"
	"github.com/tenantwatch/tenantwatch/internal/lifecycle"
	"github.com/tenantwatch/tenantwatch/tenant"
)

const (
	defaultPage = 100
	maxPage     = 1000
)

// record is a tenant and where it stands among all.
type record struct {
	lifecycle.Record

	seq int64
}

// tenantColumns are what scanTenant reads.
const tenantColumns = `t.seq, t.id, t.name, t.slug, t.status, t.isolation, t.metadata, t.owner, t.created_at, t.updated_at`

// CreateTenant makes a tenant. If the very same one is there already (slug, name, isolation and the owner's address),
// created is false and nothing is changed. A slug that another tenant has is a *[Conflict] SLUG_TAKEN; what cannot be a
// tenant is an *[Invalid].
func (s *Store) CreateTenant(ctx context.Context, n NewTenant) (t Tenant, created bool, err error) {
	if n, err = n.Check(s.environment); err != nil {
		return Tenant{}, false, err
	}
	err = s.change(ctx, "create tenant", func(ctx context.Context, c *change) (err error) {
		t, created, err = c.createOrFind(ctx, n)
		return err
	}, n.Slugs()...)
	if err != nil {
		return Tenant{}, false, err
	}
	return t, created, nil
}

// Tenant returns a tenant by any spelling of its id, or a *[NotFound].
func (s *Store) Tenant(ctx context.Context, id string) (Tenant, error) {
	var out Tenant
	err := s.db.Query(ctx, "read tenant", func(ctx context.Context, t sqldb.Tx) error {
		r, err := s.byID(ctx, t, id)
		if err == nil {
			out = r.Tenant
		}
		return err
	})
	return out, err
}

// Tenants returns a page of tenants, oldest first. An After that no Next ever was is an *[Invalid] INVALID_PAGE.
func (s *Store) Tenants(ctx context.Context, f TenantFilter) (TenantPage, error) {
	after, err := f.after()
	if err != nil {
		return TenantPage{}, err
	}
	if len(f.Search) > contract.MaxName { // which nothing has, and SQLite bounds what it looks for
		return TenantPage{Tenants: []Tenant{}}, nil
	}
	limit := min(f.Limit, maxPage)
	if limit <= 0 {
		limit = defaultPage
	}
	query, args := f.query(s.env, after, limit+1)
	page := TenantPage{Tenants: []Tenant{}}
	var last int64
	err = s.db.Query(ctx, "list tenants", func(ctx context.Context, t sqldb.Tx) error {
		return t.Each(ctx, func(row sqldb.Row) error {
			if len(page.Tenants) == limit {
				page.Next = strconv.FormatInt(last, 10)
				return nil
			}
			r, err := s.scanTenant(row)
			if err != nil {
				return err
			}
			page.Tenants, last = append(page.Tenants, r.Tenant), r.seq
			return nil
		}, query, args...)
	})
	if err != nil {
		return TenantPage{}, err
	}
	return page, nil
}

// UpdateTenant changes a tenant's name or replaces its metadata, and announces tenant.updated. It returns a *[NotFound], and
// an *[Invalid] INVALID_NAME.
func (s *Store) UpdateTenant(ctx context.Context, id string, p TenantPatch) (Tenant, error) {
	if err := p.Check(); err != nil {
		return Tenant{}, err
	}
	return s.changeTenant(ctx, "update tenant", id, func(r *lifecycle.Record) ([]lifecycle.Happening, error) { return r.Update(p), nil })
}

// SuspendTenant suspends a tenant; all services lose it. It returns a *[NotFound], and a *[Conflict] ALREADY_SUSPENDED.
func (s *Store) SuspendTenant(ctx context.Context, id string) error {
	_, err := s.changeTenant(ctx, "suspend tenant", id, (*lifecycle.Record).Suspend)
	return err
}

// ReactivateTenant ends the suspension of a tenant. It announces tenant.activated, and then tenant.service.reactivated for
// each association that is active. It returns a *[NotFound], and a *[Conflict] NOT_SUSPENDED.
func (s *Store) ReactivateTenant(ctx context.Context, id string) error {
	return s.change(ctx, "reactivate tenant", func(ctx context.Context, c *change) error {
		r, err := c.whole(ctx, id)
		if err != nil {
			return err
		}
		return c.changedTenant(r, (*lifecycle.Record).Reactivate)
	})
}

// DeleteTenant removes a tenant and its associations; its slug is free afterwards. It returns a *[NotFound].
func (s *Store) DeleteTenant(ctx context.Context, id string) error {
	return s.change(ctx, "delete tenant", func(ctx context.Context, c *change) error {
		r, err := c.record(ctx, id)
		if err != nil {
			return err
		}
		c.write(`DELETE FROM tenants WHERE env = ?1 AND seq = ?2`, s.env, r.seq)
		return c.announce(r.Remove())
	})
}

// changeTenant gives fn the tenant, and stores and returns what fn made of it.
func (s *Store) changeTenant(
	ctx context.Context, what, id string, fn func(*lifecycle.Record) ([]lifecycle.Happening, error),
) (Tenant, error) {
	var out Tenant
	err := s.change(ctx, what, func(ctx context.Context, c *change) error {
		r, err := c.record(ctx, id)
		if err != nil {
			return err
		}
		err = c.changedTenant(r, fn)
		out = r.Tenant
		return err
	})
	if err != nil {
		return Tenant{}, err
	}
	return out, nil
}

// changedTenant stores what fn makes of r, and announces it.
func (c *change) changedTenant(r *record, fn func(*lifecycle.Record) ([]lifecycle.Happening, error)) error {
	happened, err := fn(&r.Record)
	if err != nil {
		return err
	}
	r.UpdatedAt = c.now
	if err := c.save(r); err != nil {
		return err
	}
	return c.announce(happened)
}

func (c *change) createOrFind(ctx context.Context, n NewTenant) (t Tenant, created bool, err error) {
	there, err := c.place(ctx, &n)
	switch {
	case err != nil:
		return Tenant{}, false, err
	case there != nil:
		return there.Tenant, false, nil
	}
	r, err := c.create(n)
	if err != nil {
		return Tenant{}, false, err
	}
	return r.Tenant, true, nil
}

// place returns the same tenant where it is there already, and else gives n a slug that is free.
func (c *change) place(ctx context.Context, n *NewTenant) (same *lifecycle.Record, err error) {
	same, n.Slug, err = n.Place(func(slug string) (*lifecycle.Record, error) {
		if c.free[slug] {
			return nil, &NotFound{Of: lifecycle.OfTenant}
		}
		r, err := c.store.tenant(ctx, c.Tx, "t.slug = ?2", slug)
		if err != nil {
			return nil, err
		}
		return &r.Record, nil
	})
	return same, err
}

func (c *change) create(n NewTenant) (*record, error) {
	c.tenants++
	delete(c.free, n.Slug)
	made, happened := lifecycle.New(c.store.tenantID(c.tenants), n, c.now)
	r := &record{seq: c.tenants, Record: made}
	metadata, err := json.Marshal(r.Metadata)
	if err != nil {
		return nil, err
	}
	owner, err := c.store.sealJSON(r.Owner, ownerOf(r.ID)...)
	if err != nil {
		return nil, err
	}
	c.write(`INSERT INTO tenants (env, seq, id, canonical, name, slug, status, isolation, metadata, owner,
		search, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?12)`,
		c.store.env, r.seq, r.ID, tenant.CanonicalID(r.ID), r.Name, r.Slug, r.Status, r.Isolation, string(metadata), owner,
		r.search(), micros(c.now))
	return r, c.announce(happened)
}

// save writes what a change of a tenant can have changed.
func (c *change) save(r *record) error {
	metadata, err := json.Marshal(r.Metadata)
	if err != nil {
		return err
	}
	c.write(`UPDATE tenants SET name = ?1, status = ?2, metadata = ?3, search = ?4, updated_at = ?5 WHERE env = ?6 AND seq = ?7`,
		r.Name, r.Status, string(metadata), r.search(), micros(r.UpdatedAt), c.store.env, r.seq)
	return nil
}

// record reads a tenant with its associations, without their connections.
func (c *change) record(ctx context.Context, id string) (*record, error) {
	r, err := c.store.byID(ctx, c.Tx, id)
	if err != nil {
		return nil, err
	}
	r.Associations, err = c.store.associations(ctx, c.Tx, r)
	return r, err
}

// whole is record with the connections.
func (c *change) whole(ctx context.Context, id string) (*record, error) {
	r, err := c.record(ctx, id)
	if err != nil {
		return nil, err
	}
	for i, a := range r.Associations {
		if r.Associations[i], err = c.store.withConnections(ctx, c.Tx, r, a.Service); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (s *Store) byID(ctx context.Context, t sqldb.Tx, id string) (*record, error) {
	if !tenant.ValidID(id) {
		return nil, &NotFound{Of: lifecycle.OfTenant}
	}
	return s.tenant(ctx, t, "t.canonical = ?2", tenant.CanonicalID(id))
}

func (s *Store) tenant(ctx context.Context, t sqldb.Tx, condition string, arg any) (*record, error) {
	row := t.Row(ctx, `SELECT `+tenantColumns+` FROM tenants t WHERE t.env = ?1 AND `+condition, s.env, arg)
	r, err := s.scanTenant(row)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, &NotFound{Of: lifecycle.OfTenant}
	}
	return r, err
}

// scanTenant reads tenantColumns.
func (s *Store) scanTenant(row interface{ Scan(dest ...any) error }) (*record, error) {
	r := &record{}
	r.Environment = s.environment
	var metadata string
	var owner []byte
	var created, changed int64
	if err := row.Scan(&r.seq, &r.ID, &r.Name, &r.Slug, &r.Status, &r.Isolation, &metadata, &owner, &created, &changed); err != nil {
		return nil, err
	}
	r.CreatedAt, r.UpdatedAt = fromMicros(created), fromMicros(changed)
	if err := json.Unmarshal([]byte(metadata), &r.Metadata); err != nil {
		return nil, err
	}
	if err := s.openJSON(&r.Owner, owner, ownerOf(r.ID)...); err != nil {
		return nil, err
	}
	return r, nil
}

// search is what a search looks through.
func (r *record) search() string {
	return strings.ToLower(strings.Join([]string{r.Name, r.Slug, r.ID, tenant.CanonicalID(r.ID)}, "\n"))
}

func (f TenantFilter) after() (int64, error) {
	if f.After == "" {
		return 0, nil
	}
	after, err := strconv.ParseInt(f.After, 10, 64)
	if err != nil {
		return 0, &Invalid{Code: "INVALID_PAGE", Message: "there is no such page"}
	}
	return after, nil
}

func (f TenantFilter) query(env, after int64, limit int) (string, []any) {
	var query strings.Builder
	args := []any{env, after, limit}
	where := func(condition string, arg any) {
		args = append(args, arg)
		query.WriteString(" AND " + strings.ReplaceAll(condition, "?", "?"+strconv.Itoa(len(args))))
	}
	query.WriteString(`SELECT ` + tenantColumns + ` FROM tenants t WHERE t.env = ?1 AND t.seq > ?2`)
	if f.Search != "" {
		where(`t.search LIKE ? ESCAPE '!'`, "%"+likeEscaper.Replace(strings.ToLower(f.Search))+"%")
	}
	if f.Status != "" {
		where(`t.status = ?`, f.Status)
	}
	if f.Service != "" {
		where(`EXISTS (SELECT 1 FROM associations a
			WHERE a.env = t.env AND a.tenant = t.seq AND a.service = ? AND a.status <> '`+tenant.StatusPurged+`')`, f.Service)
	}
	query.WriteString(` ORDER BY t.seq LIMIT ?3`)
	return query.String(), args
}

var likeEscaper = strings.NewReplacer("!", "!!", "%", "!%", "_", "!_")
