package worker_test

import "testing"

// TestWhatTheSimulationHasFound runs the schedules again that have failed once, each shortened to what it needs.
func TestWhatTheSimulationHasFound(t *testing.T) {
	for _, text := range []string{
		// A reconfiguration that no event caused was lost while the hook ran for the one before.
		"group hook: hooks 3 10; add 3; reconfigure 3 1; reconfigure 3 3; unhook 3 1",
		// A tenant that went and came at once was started again whatever its next run returned.
		"group: add 3; remove 3; add 3; pass 600; end 3 1",
		"group: add 3; remove 3; add 3; pass 600; end 3 2; pass 600",
		// Who had been cancelled before the end was not named as overstaying until Run returned.
		"group: stops 3 32; add 3; remove 3; pass 4000; cancel; pass 7000",
		// A tenant whose run was ended by a reconfiguration lost its slot to the next in line.
		"group limit=1: add 1; add 3; pass 1000; reconfigure 1 2; pass 1000",
		// One that waited was started between two events of one change.
		"group ramp=12: add 0 1; burst 1 5; reconfigure 1; end 0 2",
	} {
		t.Run(text, func(t *testing.T) { replay(t, text) })
	}
}
