// Package tenanttest has a fake tenant manager and a fake source of events, for tests. Both fail on purpose when a test
// tells them to. Use them in your own tests.
//
// # The manager
//
// [NewManager] makes a tenant manager that lives in memory. It is an [http.Handler], so that httptest can serve it to a
// real client, and each change that the REST API can make is a method as well:
//
//	manager := tenanttest.NewManager()
//	ids, err := manager.Seed(ctx, "ledger", 100)
//	err = manager.Suspend(ctx, ids[0])
//
// [Manager.Active] is the truth that the code under test should arrive at in the end. Without a network, for instance in
// a bubble of testing/synctest, [Manager.Fetcher] reads the lists under the same faults as over HTTP.
//
// Each change makes its lifecycle events. [Manager.Events] remembers the newest of them, and a manager with
// [WithPublisher] hands each one out. Whatever goroutines make changes at the same time, events are handed out in
// the order of their revisions, one at a time, and a method returns when its own are out. A publisher that fails undoes
// nothing, as it would not with a real manager: the method returns a [PublishError], [Manager.PublishFailures] counts.
//
// # The feed
//
// [NewFeed] makes a [tenant.Feed] whose events come from the test, or from a manager, because [Feed.Publish] is a
// publisher:
//
//	feed := tenanttest.NewFeed()
//	manager := tenanttest.NewManager(tenanttest.WithPublisher(feed.Publish))
//
// Each Run of the feed gets all that is published while it is subscribed, in order, and nothing of what was published
// before: like Redis Pub/Sub, the feed keeps nothing. Nothing that was delivered to a slow sink is lost; it waits, in
// memory, without a bound. [Feed.Flush] waits until the sinks have been given all that was published so far.
//
// # Faults
//
// The list of the manager can be late ([Manager.DelayList]), held until the test lets it go ([Manager.HoldList]), an
// error ([Manager.FailList]), any bytes at all ([Manager.AnswerList]), cut short, dropped, empty, partial, or one
// of an earlier revision ([Manager.StaleList]). The link of the feed can break, refuse, fall silent, skip, repeat, shuffle
// and delay. Faults are set while everything runs, count down or are cleared, and are never drawn by chance: the one
// that shuffles has a seed.
//
// # What it does not do
//
// Nothing is kept on disk, nothing is limited in rate, and there are no calls for administrators and no stream of Server-Sent
// Events. The one key is every service's, so that it reads each list. What it takes, refuses, answers and announces is
// otherwise what the manager does, to the byte. Neither type starts a goroutine or has to be closed.
//
// # How it is built
//
// The files, in the order in which they are read:
//
//	manager.go, changes.go, backup.go              the manager, and what a test does to it
//	world.go, commit.go                            its data; one change, and the events of it in their order
//	handler.go, list.go, servelist.go, fetcher.go  the REST API, and the lists over HTTP and without
//	faults.go                                      what goes wrong with a list
//	feed.go, feedrun.go, feedfaults.go             the feed, one Run of it, and what goes wrong with it
//	converges.go                                   waiting for a set to be right
package tenanttest
