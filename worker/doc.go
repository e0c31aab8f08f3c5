// Package worker runs work for every tenant that is active.
//
// A [Group] is given changes of the set of tenants, such as those of discovery's Changes, and keeps one run of a function
// for each tenant: it starts when the tenant comes, is cancelled when the tenant goes, and starts again with back-off when
// it fails or panics. [ForEach] is one pass over the current tenants, and [Every] has a tick for each tenant in each interval.
//
//	g, err := worker.NewGroup(worker.Config{Work: func(ctx context.Context, tenantID string) error {
//		return consume(ctx, queueOf(tenantID)) // until ctx ends
//	}})
//	err = g.Run(ctx, d.Changes(ctx))
//
// # What is ordered
//
// There is never more than one run for a tenant, in whatever spelling its id comes. A tenant that goes and comes again while
// its old run has not ended yet waits for that. Runs of different tenants know nothing of each other. Tenants that wait for
// [Config.Limit] are served in the order in which they came. A tenant whose run has failed goes to the end of the
// line. A tenant whose run was ended by a reconfiguration keeps its slot for the next run; if that run has overstayed it goes to the front.
//
// # What a slow one gets
//
// A run that does not end within [Config.StopGrace] after it was cancelled is named by [Group.Status], and does not count
// towards the limit any more, so that it holds up nobody but its own tenant. The calls of [Every] and [ForEach] have the same
// grace, from the end of their ctx on; Every names them in the log, and ForEach in its error. Nobody can end a goroutine from
// outside: the function has to heed its ctx.
//
// # How it is built
//
// The files, in the order in which they are read:
//
//	group.go, status.go         Group's face: Config, Run, Status, and the log lines
//	plan.go, slots.go, order.go pure: what is to be done when a tenant comes, goes or is reconfigured, a run ends, or time passes. It answers with orders
//	line.go                     pure: who waits for a start, in order
//	crew.go                     the goroutines that somebody's code is called on, for all three
//	deadlines.go                the heap of what is due: the end of a grace, or of a back-off
//	run.go                      the loop that tells the plan what has happened and carries out its orders
//	ending.go                   how a call of somebody's code has ended: its panics, and its errors, which are asked there and nowhere else
//	foreach.go, passerror.go    ForEach, and its error
//	every.go, ticks.go          Every's face, and its loop
//	roll.go, timetable.go       pure: who has a turn, who is in line, and when whose ticks are
//	news.go                     what Every has not taken in yet, folded per tenant
//	tenanterror.go              whose work failed
//	metrics.go, passmetrics.go  OpenTelemetry's metrics, those of a Group read from the plan
//	handler.go, page.html       the debug page, and the same as JSON
//
// A change, the end of a run and the one timer meet in the loop, which takes the lock, tells the plan, and carries out the
// orders without the lock: start a run, cancel it with a cause, call the hook, write a log line. The plan alone knows who
// runs, who is in line and who is due; Status copies from it. A tenant that waits or backs off has no goroutine and no timer.
package worker
