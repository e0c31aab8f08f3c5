// Package worker runs a function for every active tenant.
//
// A [Group] keeps one run of the function for each tenant, for work that goes on until the tenant goes, such as
// consuming a queue. The Group reads the changes of the set of tenants, such as those of discovery's Changes. It starts
// a run when a tenant comes, cancels the run when the tenant goes, and starts it again, after a back-off, when it fails
// or panics. [Every] calls the function once for each tenant in each interval, for periodic work. [ForEach] calls it
// once for each of the current tenants and returns.
//
//	g, err := worker.NewGroup(worker.Config{Work: func(ctx context.Context, tenantID string) error {
//		return consume(ctx, queueOf(tenantID)) // until ctx ends
//	}})
//	err = g.Run(ctx, d.Changes(ctx))
//
// # What is ordered
//
// A tenant never has more than one run, however its id is spelled. If a tenant goes and comes again, its new run begins
// only after the old one has ended. Runs of different tenants are independent of each other. [Config.Limit] bounds how
// many runs there are at the same time: each takes a slot, and the other tenants wait in line. They are served in the
// order in which they joined the line. A tenant whose run has failed goes to the end of the line. A tenant whose run
// was ended by a reconfiguration keeps its slot for the next run; if its old run overstayed, the tenant goes to the
// front of the line.
//
// # What happens to work that does not end
//
// Go cannot end a goroutine from outside: the function has to return when its ctx ends. A run that does not end within
// [Config.StopGrace] after it was cancelled overstays. [Group.Status] names its tenant, and the run no longer counts
// towards the limit, so that it delays only its own tenant. The calls of [Every] and [ForEach] may overstay too, with
// the same grace after the end of their ctx. Every names their tenants in the log, and ForEach in its error.
//
// # How it is built
//
// The files, in the order in which they are read:
//
//	group.go, status.go         Group's face: Config, Run, Status, and the log lines
//	plan.go, slots.go, order.go the plan, which is pure: what to do when a tenant comes, goes or is reconfigured, a run ends, or time passes. It returns orders
//	line.go                     pure: the tenants that wait for a start, in order
//	crew.go                     the goroutines on which the caller's functions run, for Group, Every and ForEach
//	deadlines.go                the heap of what is due: the end of a grace, or of a back-off
//	run.go                      the loop that tells the plan what has happened and carries out its orders
//	ending.go                   how a call of the caller's function has ended. Its panics and errors are looked at only here
//	foreach.go, passerror.go    ForEach, and its error
//	every.go, ticks.go          Every's face, and its loop
//	roll.go, timetable.go       pure: which tenant has its turn, which ones are in line, and when each tenant has its ticks
//	news.go                     the changes that Every has not taken in yet, combined for each tenant
//	tenanterror.go              whose work failed
//	metrics.go, passmetrics.go  OpenTelemetry's metrics, those of a Group read from the plan
//	handler.go, page.html       the debug page, and the same as JSON
//
// One loop receives the changes, the ends of runs and the one timer. For each of them it takes the lock and tells the
// plan. Then it releases the lock and carries out the plan's orders: start a run, cancel a run with a cause, call
// Config.Reconfigured, write a log line. Only the plan knows which tenants run, wait or are due; Status is a copy from
// it. A tenant that waits in line, or for the end of its back-off, has no goroutine and no timer.
package worker
