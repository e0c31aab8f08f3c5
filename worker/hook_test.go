package worker

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

func TestReconfiguredRestartsTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fail := errors.New("no")
		var b *bench
		b = start(t, Config{MinBackoff: 2 * time.Minute, MaxBackoff: time.Hour}, func(ctx context.Context, id string) error {
			switch id {
			case "fails":
				return fail
			case "gives up":
				return errors.Join(ErrGiveUp, fail)
			case "done":
				return nil
			}
			<-ctx.Done()
			b.say(context.Cause(ctx).Error())
			return ctx.Err()
		})
		b.add("done", "fails", "gives up", "runs")
		b.wantStates("done done, fails restarting, gives up given up, runs running")
		b.said()
		time.Sleep(time.Minute)
		for _, id := range []string{"done", "fails", "gives up", "runs"} {
			b.reconfigure(id)
			time.Sleep(time.Millisecond)
		}
		b.wants("the tenant was reconfigured -runs") // the news may go on
		time.Sleep(newsQuiet)
		b.wants("+fails -fails +gives up -gives up +runs")
		for _, one := range b.group.Status().Tenants {
			if failed := one.TenantID == "fails" || one.TenantID == "gives up"; failed != errors.Is(one.LastError, fail) {
				t.Errorf("%s: %v", one.TenantID, one.LastError)
			}
		}
		b.stop()
	})
}

// hooked is a Group with a hook that says when it begins and waits for release.
func hooked(t *testing.T, release <-chan error) *bench {
	t.Helper()
	var b *bench
	b = start(t, Config{MinBackoff: 1, Reconfigured: func(ctx context.Context, id string, reason tenant.EventType) error {
		b.say("?" + id + " " + string(reason))
		select {
		case err := <-release:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}}, nil)
	return b
}

func TestTheHookIsCalledBesideTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan error)
		b := hooked(t, release)
		b.add("a")
		for range 4 {
			b.reconfigure("a")
		}
		b.wants("+a ?a tenant.credentials.rotated")
		release <- nil
		b.wants("?a tenant.credentials.rotated") // once for the three that came meanwhile
		release <- nil
		b.wants("")
		b.wantStates("a running")
		b.stop()
	})
}

func TestAHookThatFailsRestartsTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan error)
		b := hooked(t, release)
		b.add("a")
		b.reconfigure("a")
		release <- errors.New("no")
		b.wants("+a ?a tenant.credentials.rotated -a +a")
		b.reconfigure("a")
		b.remove("a")
		b.wants("?a tenant.credentials.rotated -a")
		b.wantStates("")
		b.stop()
	})
}

// TestARunIsNotOverBeforeItsHook, whichever way the run has ended.
func TestARunIsNotOverBeforeItsHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		finish, release := make(chan struct{}), make(chan struct{})
		var b *bench
		b = start(t, Config{StopGrace: time.Second, MinBackoff: 1, Reconfigured: func(context.Context, string, tenant.EventType) error {
			b.say("?")
			<-release
			b.say("!")
			return nil
		}}, func(ctx context.Context, _ string) error {
			select {
			case <-finish:
			case <-ctx.Done():
			}
			return nil
		})
		b.add("a")
		b.reconfigure("a")
		finish <- struct{}{}
		synctest.Wait()
		b.wants("+a ? -a")
		time.Sleep(time.Second)
		b.wantStates("a overstaying")
		release <- struct{}{}
		b.wantStates("a done")
		b.remove("a")
		b.add("a")
		b.reconfigure("a")
		finish <- struct{}{}
		synctest.Wait()
		b.wants("! +a ? -a")
		b.remove("a")
		b.add("a")
		b.wants("")
		release <- struct{}{}
		b.wants("! +a") // it came again while its old run, which was done, was not over
		b.stop()
	})
}

// TestAReconfigurationThatMeetsTheEndOfARunIsNotLost: the run that its hook is called for has failed without what is new.
func TestAReconfigurationThatMeetsTheEndOfARunIsNotLost(t *testing.T) {
	for name, failure := range map[string]error{"gives up": ErrGiveUp, "fails": errors.New("no")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				finish, release := make(chan error), make(chan struct{})
				b := start(t, Config{MinBackoff: time.Hour, Reconfigured: func(context.Context, string, tenant.EventType) error {
					<-release
					return nil
				}}, func(ctx context.Context, _ string) error {
					select {
					case err := <-finish:
						return err
					case <-ctx.Done():
						return nil
					}
				})
				b.add("a")
				time.Sleep(time.Hour)
				b.reconfigure("a")
				finish <- failure
				synctest.Wait()
				release <- struct{}{}
				b.wants("+a -a +a")
				if one := b.group.Status().Tenants[0]; !errors.Is(one.LastError, failure) || one.State != Running {
					t.Errorf("the tenant is %+v", one)
				}
				b.stop()
			})
		})
	}
}

func TestAHookThatPanicsOrExits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Config{MinBackoff: 1, Reconfigured: func(context.Context, string, tenant.EventType) error { panic("no") }}, nil)
		b.add("a")
		b.reconfigure("a")
		b.wants("+a -a +a")
		b.stop()
	})
}

func TestNewGroupNamesWhatIsWrong(t *testing.T) {
	_, err := NewGroup(Config{Limit: -1, StopGrace: -1, MinBackoff: -1, RampPerSecond: -1})
	for _, field := range []string{"Work", "Limit", "StopGrace", "MinBackoff", "RampPerSecond"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s is not in %v", field, err)
		}
	}
}
