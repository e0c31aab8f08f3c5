package discovery_test

import "testing"

// TestScheduleRegressions replays what the simulation has found, each shortened to what it needs.
func TestScheduleRegressions(t *testing.T) {
	for name, text := range map[string]string{
		// Of a manager without versions that says tenant.activated alone, it overtook tenant.suspended: the latter was
		// applied, although its date was older, because only adds and removes were remembered with their dates.
		"activated overtakes suspended": "core base tenants=3 spread=848: up; ask; answer; suspend 2; reactivate 2; deliver 5",
		// An event of a new epoch came while a request was under way. The answer, of the old epoch, made it forgotten, but
		// not its revision: the next answer, of a replica that lagged behind, then seemed to be complete.
		"a new epoch's event is forgotten": "core versions tenants=13 spread=232: up; ask; answer; ask; read; epoch 9; suspend 5; batch 5; answer; ask; stale 6",
		// The same with an event of an unknown type before the first answer.
		"a new epoch's unknown event": "core versions tenants=6 spread=141: epoch 1; up; archive 3; batch 6; ask; stale 6",
		// Two events of a new epoch and of one tenant changed places, and the older one counted.
		"a new epoch's events change places": "core versions tenants=6 spread=141: up; ask; answer; epoch 1; suspend 3; reactivate 3; deliver 2; deliver 0; deliver 0; ask; stale 9",
		// Before the first list, events of a second epoch made the revisions of the first one forgotten, and not its marks.
		"two epochs before the first list": "core versions tenants=19 spread=792 dice=886958: up; ask; read; pause 8; lose 1; pause 17; epoch 3; batch 4; update; deliver 1; answer",
		// Of two replicas one still gave the list of an epoch that had been left, which was taken as a new world.
		"an epoch that was left": "core versions tenants=1 spread=794: up; ask; answer; epoch 6; ask; answer; ask; left",
		// The first again, where the events have versions and the lists have none.
		"activated overtakes suspended, plain lists": "core base mixed tenants=3 spread=848: up; ask; answer; suspend 2; reactivate 2; deliver 5",
		// tenant.activated, the only sign of a reactivation, came while a list was under way that did not have the tenant.
		"activated during a list": "core base tenants=3 spread=226: quiesce; down; suspend 1; up; ask; read; reactivate 1; deliver 4",
		// A heartbeat came before the first list that had a version, and the list was older than it.
		"a heartbeat before the first version": "live file versions tenants=1 spread=88: fail 1; restart; slow 3 5697; stale 1 6; pass 3203",
	} {
		t.Run(name, func(t *testing.T) { replay(t, text) })
	}
}

// TestX03OldNewsThatSeemedNew replays what was found with seeds that nobody had used before, where only the events have
// versions and where the lists have them too.
func TestX03OldNewsThatSeemedNew(t *testing.T) {
	for name, text := range map[string]string{
		// While the mark of an add was there, and events had versions that the lists had not, tenant.activated overtook
		// tenant.suspended once more: the two were compared by their revisions, and that of tenant.activated was not kept.
		"activated overtakes suspended after an add": "core base mixed: up; ask; delete; add; batch 5; suspend; reactivate; answer; deliver 5",
		// The same without a list in between.
		"activated overtakes suspended, the add is new": "core base mixed tenants=1: up; ask; answer; add 1; batch 5; pause; other; suspend 1; reactivate 1; repeat 3",
		// What an event of a new epoch said of a tenant was not kept where the old epoch had said something of it too.
		"two epochs say something of one tenant": "core versions tenants=10: quiesce; suspend; batch 4; epoch 10; suspend; reactivate; ask; deliver 2; stale 5; deliver",
		// The same before the first list.
		"two epochs say something of one tenant, before the first list": "core versions tenants=8: up; pause 1; batch 5; epoch 8; clock 1; suspend 1; deliver 6; ask; stale 5",
		// More had come than can be remembered. That no list was asked for because of it let an old event seem new.
		"a flood": "core base flooded tenants=2: up; ask; answer; flood; suspend 1; reactivate 1; deliver 1; deliver 2",
		// An event of an epoch that was left, which was known already, took the place of another one in the memory, and the
		// next list was held to be incomplete.
		"an event of an epoch that was left": "core versions: up; add 22; epoch 2; repeat 5; quiesce; add 25; batch 2; epoch 6; add 24; relay 4 20; epoch 7; ask; stale 3; replay 60",
		// An event of a new epoch came before the first list, which was read before it, and did not say which tenants are active:
		// so nothing was marked, and the list seemed to be complete.
		"a new epoch's event that marks nothing": "core versions beatless tenants=4: up; ask; read; epoch 3; rotate 1; batch 6",
	} {
		t.Run(name, func(t *testing.T) { replay(t, text) })
	}
}
