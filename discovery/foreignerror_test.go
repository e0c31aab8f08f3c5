package discovery

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/activeset"
	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
)

type statusError struct {
	status int
	delay  time.Duration
}

func (e statusError) Error() string             { return fmt.Sprint("status ", e.status) }
func (e statusError) HTTPStatus() int           { return e.status }
func (e statusError) RetryDelay() time.Duration { return e.delay }

// TestWhatIsKnownOfAnError that enters, however it is wrapped.
func TestWhatIsKnownOfAnError(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want activeset.Failure
	}{
		{errors.New("down"), activeset.Failure{Lost: "the network"}},
		{statusError{status: 401}, activeset.Failure{Status: 401, Hopeless: true, Lost: "the network"}},
		{statusError{status: 403}, activeset.Failure{Status: 403, Hopeless: true, Lost: "the network"}},
		{statusError{status: 503, delay: time.Minute}, activeset.Failure{Status: 503, Delay: time.Minute, Lost: "the network"}},
		{statusError{status: 412}, activeset.Failure{Status: 412, RefusesCondition: true, Lost: "the network"}},
		{&EnvironmentError{Configured: "staging", Listed: "production"}, activeset.Failure{Hopeless: true, Lost: "the network"}},
		{context.DeadlineExceeded, activeset.Failure{Ended: true, Lost: "the network"}},
		{redisevents.ErrNoHeartbeat, activeset.Failure{NoHeartbeat: true, Lost: tenant.ErrNoHeartbeat.Error()}},
		{redisevents.ErrRefused, activeset.Failure{Lost: redisevents.ErrRefused.Error()}},
		{
			&tenant.EventError{EventID: "e-1", EventType: "tenant.moved"},
			activeset.Failure{EventID: "e-1", EventType: "tenant.moved", Lost: "the network"},
		},
	} {
		entered := enter(fmt.Errorf("wrapped: %w", tc.err))
		got := activeset.Known(entered)
		if !errors.Is(entered, tc.err) {
			t.Errorf("%v: the error that entered is not it any more", tc.err)
		}
		got.Text, got.Err = "", nil
		if got != tc.want {
			t.Errorf("%v: known is %+v, want %+v", tc.err, got, tc.want)
		}
	}
}
