package store

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/sqldb"
	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
)

// TestX18ReplicasThatStartTogetherTakeOverOnce: those that come while one is about it wait, say so, and go on with what it made.
func TestX18ReplicasThatStartTogetherTakeOverOnce(t *testing.T) {
	for _, empty := range []bool{true, false} {
		t.Run(fmt.Sprint("into one that was begun: ", empty), func(t *testing.T) {
			db := database{dsn: testserver.SharedPostgres(t).Database(t)}
			s := db.open(t)
			id := create(t, s, acme()).ID
			beginAs(t, s, "default")
			do(t, s.Close())
			if empty {
				do(t, db.openAs(t, "production").Close())
			}
			taking, waits := make(chan struct{}), make(chan struct{})
			begun, told := sync.OnceFunc(func() { close(taking) }), sync.OnceFunc(func() { close(waits) })
			o := Options{Environment: "production", Formerly: "default", Key: testKey, Migrating: func() {
				begun()
				select {
				case <-waits:
				case <-time.After(5 * time.Second):
					t.Error("nobody waits")
				}
			}}
			var first sync.WaitGroup
			first.Go(func() { takenOver(t, db.dsn, o, id) })
			<-taking
			o.Migrating = told
			takenOver(t, db.dsn, o, id)
			first.Wait()
		})
	}
}

func takenOver(t *testing.T, dsn string, o Options, id string) {
	t.Helper()
	s, err := Open(t.Context(), dsn, o)
	if err != nil {
		t.Error(err)
		return
	}
	if _, err := s.Tenant(t.Context(), id); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestX18WhatAnOlderProgramTakesOverMeanwhileIsLookedAtAgain: that one has no lock of migrations.
func TestX18WhatAnOlderProgramTakesOverMeanwhileIsLookedAtAgain(t *testing.T) {
	db := database{dsn: testserver.SharedPostgres(t).Database(t)}
	s := db.open(t)
	id := create(t, s, acme()).ID
	beginAs(t, s, "default")
	do(t, db.openAs(t, "production").Close())
	o := Options{Environment: "production", Formerly: "default", Key: testKey}
	var second sync.WaitGroup
	older := &Store{db: s.db, seal: s.seal, environment: "production", formerly: "default", logger: s.logger}
	do(t, s.db.Write(t.Context(), "take over", func(ctx context.Context, q sqldb.Tx) error {
		found, err := spellings(ctx, q, "production", "default")
		do(t, err)
		if found, err = older.giveWay(ctx, q, found); err == nil {
			err = older.rename(ctx, q, found[0])
		}
		second.Go(func() { takenOver(t, db.dsn, o, id) })
		eventually(t, "the second one waits for the row", func() bool {
			var n int
			do(t, s.db.Query(ctx, "look", func(ctx context.Context, q sqldb.Tx) error {
				return q.Row(ctx, `SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&n)
			}))
			return n > 0
		})
		return err
	}))
	second.Wait()
	do(t, s.Close())
}
