// Package tenanttest has a fake tenant manager and a fake source of events, for tests. Both fail on purpose when a test
// tells them to. Use them in your own tests.
//
// # The manager
//
// [NewManager] makes a tenant manager in memory. It is an [http.Handler], so that httptest can serve it to a real
// client. Each change that the REST API can make is also a method:
//
//	manager := tenanttest.NewManager()
//	ids, err := manager.Seed(ctx, "ledger", 100)
//	err = manager.Suspend(ctx, ids[0])
//
// [Manager.Active] returns the tenants that the code under test should have in the end. Without a network, for instance
// in a bubble of testing/synctest, use [Manager.Fetcher]: it reads the lists with the same faults as over HTTP. The call
// for what has changed since a version of a list is there too, unless [WithoutChanges] or [WithoutVersions] says
// otherwise.
//
// Each change makes lifecycle events. [Manager.Events] returns the newest of them, and a manager with [WithPublisher]
// publishes each one. Events are published one at a time, in the order of their revisions, even when several goroutines
// make changes. A method returns after its own events were published. When the publisher fails, the change stays, as
// with a real manager. The method then returns a [PublishError], and [Manager.PublishFailures] counts it.
//
// # The feed
//
// [NewFeed] makes a [tenant.Feed] in memory. The test publishes its events with [Feed.Publish], or a manager does:
//
//	feed := tenanttest.NewFeed()
//	manager := tenanttest.NewManager(tenanttest.WithPublisher(feed.Publish))
//
// Each Run of the feed gets the events that are published while it is subscribed, in order. It gets nothing that was
// published before: like Redis Pub/Sub, the feed keeps nothing. Events for a slow sink are not lost; they wait in
// memory, without a bound. [Feed.Flush] waits until the sinks were given everything that was published so far.
//
// # Faults
//
// The list of the manager can be late ([Manager.DelayList]), held until the test lets it go ([Manager.HoldList]), an
// error ([Manager.FailList]), any bytes at all ([Manager.AnswerList]), cut short, dropped, empty, partial, or one of an
// earlier revision ([Manager.StaleList]). The link of the feed can break, refuse to subscribe, fall silent, and lose,
// repeat, shuffle or delay events. Faults can be set at any time. Nothing happens by chance: shuffling uses a seed.
//
// A fault of the manager is set for its next n requests. A negative n stands for all requests until
// [Manager.ClearFaults]; zero clears the fault; setting a fault again replaces it. Faults with List in their name apply to
// requests for the list of active tenants, over HTTP and through a [Fetcher]. Different faults combine: a request for a
// list uses up one of each. If several of them decide the answer, a dropped connection wins over a failure, a failure over
// an answer of AnswerList, and such an answer over the rest.
//
// A reader may ask for the changes of a list in place of the list. Faults that spoil what the list says (AnswerList,
// PartialList and EmptyList) make that call answer 410, so that the reader reads the list: a 410 uses up no fault. All
// others apply to both calls: changes of StaleList lead to the earlier revision.
//
// # What it does not do
//
// The manager keeps nothing on disk and limits no rate. It has no calls for administrators and no stream of Server-Sent
// Events. It has one key, which is valid for every service and reads every list. Otherwise it accepts, refuses, answers
// and announces exactly what the real manager does, byte for byte. Neither the manager nor the feed starts a goroutine,
// and neither has to be closed.
//
// # How it is built
//
// The files, in the order in which they are read:
//
//	manager.go, changes.go, backup.go              the manager, and what a test does to it
//	world.go, commit.go                            its data; one change and its events, in order
//	handler.go, list.go, servelist.go, fetcher.go  the REST API, and the lists with and without HTTP
//	since.go                                       what has changed since a list
//	faults.go                                      what goes wrong with a list
//	feed.go, feedrun.go, feedfaults.go             the feed, one Run of it, and what goes wrong with it
//	converges.go                                   waiting for a set to be right
package tenanttest
