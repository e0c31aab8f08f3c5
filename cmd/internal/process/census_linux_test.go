package process

import (
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// Somebody else waits for orphans: one for whom nobody has waited has ended all the same.
func TestX30ADeadOrphanDoesNotLive(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "sleep", "60")
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	id := cmd.Process.Pid
	lives := func() bool {
		living, _, err := takeCensus()
		if err != nil {
			t.Fatal(err)
		}
		return living[id]
	}
	if !lives() {
		t.Error("a process does not live")
	}
	_ = cmd.Process.Kill()
	for deadline := time.Now().Add(patience); lives(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it lives after SIGKILL")
		}
	}
	if err := syscall.Kill(-id, 0); err != nil {
		t.Errorf("a signal does not find it, so this proves nothing: %v", err)
	}
	_ = cmd.Wait()
}
