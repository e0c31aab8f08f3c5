package testserver

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Standby starts a server that follows this one by streaming, and answers reads. It ends with the test. Whatever p commits
// reaches it within moments, and not before p says that it has committed.
func (p *Postgres) Standby(t testing.TB) *Postgres {
	t.Helper()
	standby, err := p.newStandby()
	if standby != nil {
		t.Cleanup(func() {
			if err := standby.remove(); err != nil {
				t.Error(err)
			}
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return standby
}

// Promote makes a standby a primary, and returns once it takes writes.
func (p *Postgres) Promote(t testing.TB) {
	t.Helper()
	cmd := p.as.run(exec.CommandContext(t.Context(), filepath.Join(p.bin, "pg_ctl"), "promote", "-w", "-D", p.data()))
	cmd.Dir = p.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("pg_ctl promote: %v\n%s", err, out)
	}
}

// newStandby returns a server with an error too, once there is something to be removed.
func (p *Postgres) newStandby() (*Postgres, error) {
	dir, err := os.MkdirTemp("", "tenantwatch-postgres-")
	if err != nil {
		return nil, err
	}
	standby := &Postgres{bin: p.bin, dir: dir, as: p.as, args: p.args}
	if err := p.as.own(dir); err != nil {
		return standby, err
	}
	cmd := p.as.run(exec.Command(filepath.Join(p.bin, "pg_basebackup"),
		"-D", standby.data(), "-R", "-X", "stream", "-c", "fast", "--no-sync"))
	cmd.Dir, cmd.Env = dir, p.environment()
	if out, err := cmd.CombinedOutput(); err != nil {
		return standby, fmt.Errorf("pg_basebackup: %w\n%s", err, out)
	}
	err = standby.startOnFreePort()
	return standby, err
}
