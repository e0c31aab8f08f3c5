// Package worker runs work for every tenant that is active.
//
// A [Group] is given changes of the set of tenants, such as those of discovery's Changes, and keeps one run of a function
// for each tenant: it starts when the tenant comes, is cancelled when the tenant goes, and starts again with back-off when
// it fails or panics. [ForEach] is one pass over the tenants of now, and [Every] has a tick for each tenant in each interval.
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
// [Config.Limit] are served in the order in which they came. Who has failed goes to the end of the line. Whose run was
// ended by a reconfiguration keeps its slot for the next run; one whose run has overstayed goes to the front of the line.
//
// # What a slow one gets
//
// A run that does not end within [Config.StopGrace] after it was cancelled is named by [Group.Status], and does not count
// towards the limit any more, so that it holds up nobody but its own tenant. The calls of [Every] and [ForEach] have the same
// grace, from the end of their ctx on; Every names them in the log, and ForEach in its error. Nobody can end a goroutine from
// outside: the function has to heed its ctx.
package worker
