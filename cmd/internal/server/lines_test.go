package server

import (
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestX48AKnownCallerDoesNotFillTheLog, whatever it is that it is refused: a caller has a few lines in a while, and one with a
// count after it. Other callers' lines are not lost in it, and each change has its own.
func TestX48AKnownCallerDoesNotFillTheLog(t *testing.T) {
	h := start(t, func(c *Config) { c.MaxStreams = 1 })
	id := h.tenant(t, "Acme")
	h.follow(t, ledgerEvents, "")
	other := makeKey(t, h.store, "payments")
	before := strings.Count(h.log.String(), "\n")
	const each = 50
	for i := range each {
		h.want(t, 404, "GET", "/v1/tenants/nobody", "")
		h.want(t, 400, "POST", "/v1/tenants", `{"name":""}`)
		h.want(t, 409, "POST", "/v1/tenants/"+id+"/associations/ledger", `{"isolationMode":"isolated"}`)
		h.want(t, 503, "GET", ledgerEvents, "")
		h.want(t, 200, "GET", "/v1/tenants/"+id+"/associations/ledger/connections", "")
		h.want(t, 200, "PATCH", "/v1/tenants/"+id, `{"name":"`+strconv.Itoa(i)+`"}`)
	}
	h.want(t, 404, "GET", "/v1/tenants/other", "", with("X-API-Key", other), without("Authorization"))
	h.lines.close()
	log := h.log.String()
	for text, most := range map[string]int{"status=404": 25, "status=400": 25, "status=409": 25, "status=503": 25, "call=get-connections": 25} {
		if n := strings.Count(log, text); n > most {
			t.Errorf("%d lines with %s", n, text)
		}
	}
	if n := strings.Count(log, "call=update-tenant"); n != each {
		t.Errorf("%d lines for %d changes", n, each)
	}
	if n := strings.Count(log, "\n") - before - each; n > 5*linesEach+10 {
		t.Errorf("%d lines besides those of changes:\n%s", n, log)
	}
	if n := strings.Count(log, "more_of_the_kind="); n < 3 {
		t.Errorf("%d lines with a count, want one of refusals, of failures and of readings", n)
	}
	keys := decoded[keyList](t, h.want(t, 200, "GET", "/v1/admin/keys?service=payments", "").body).Keys
	has(t, log, "caller="+keys[0].ID)
}

func TestX48LinesAreCountedAndComeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out logBuffer
		l := newLines(slog.New(slog.NewTextHandler(&out, nil)), 3)
		say := func(kind string, n int) {
			for range n {
				l.say(t.Context(), kind, line{level: slog.LevelInfo, text: kind})
			}
		}
		count := func(want int, parts ...string) {
			t.Helper()
			if n := strings.Count(out.String(), "\n"); n != want {
				t.Errorf("%d lines, want %d:\n%s", n, want, out.String())
			}
			has(t, out.String(), parts...)
		}
		say("a", 100)
		say("b", 1)
		count(4)
		time.Sleep(linesEvery + time.Second)
		count(5, "msg=a more_of_the_kind=96 within=10s")
		say("a", 2) // it goes on
		say("b", 1) // it was quiet
		count(6)
		time.Sleep(linesEvery)
		count(7)
		time.Sleep(linesEvery)
		say("a", 3) // it was quiet for a while
		count(10)
		for i := range 3 * maxKinds {
			say("kind "+strconv.Itoa(i), 1)
		}
		if n := len(l.kinds); n > maxKinds+1 {
			t.Errorf("%d kinds are remembered", n)
		}
		if n := strings.Count(out.String(), "\n"); n > 10+maxKinds+3 {
			t.Errorf("%d lines of as many kinds", n)
		}
		l.close()
		has(t, out.String(), "more_of_the_kind="+strconv.Itoa(2*maxKinds-3))
	})
}

// TestX48NothingIsSaidLaterThanClose: a request that ends after it, because its grace was over, has its line at once, and no timer
// is left.
func TestX48NothingIsSaidLaterThanClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out logBuffer
		l := newLines(slog.New(slog.NewTextHandler(&out, nil)), 1)
		say := func() { l.say(t.Context(), "late", line{level: slog.LevelInfo, text: "late"}) }
		say()
		say()
		l.close()
		say()
		say()
		said := out.String()
		if n := strings.Count(said, "\n"); n != 4 || len(l.kinds) > 0 {
			t.Errorf("%d lines, want 4, and %d kinds are remembered:\n%s", n, len(l.kinds), said)
		}
		time.Sleep(2 * linesEvery)
		if later := out.String(); later != said {
			t.Errorf("said after close: %s", strings.TrimPrefix(later, said))
		}
	})
}

// TestX48CloseWaitsForACountThatIsBeingWritten, so that whoever closes the log after it does not take it away from under that.
func TestX48CloseWaitsForACountThatIsBeingWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var writing atomic.Bool
		stuck := make(chan struct{})
		l := newLines(slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
			if strings.Contains(string(p), "more_of_the_kind") {
				writing.Store(true)
				<-stuck
				writing.Store(false)
			}
			return len(p), nil
		}), nil)), 1)
		for range 2 {
			l.say(t.Context(), "a", line{level: slog.LevelInfo, text: "a"})
		}
		time.Sleep(linesEvery)
		synctest.Wait()
		if !writing.Load() {
			t.Fatal("no count is being written")
		}
		time.AfterFunc(time.Second, func() { close(stuck) })
		if l.close(); writing.Load() {
			t.Error("close has returned, and the count is still being written")
		}
		time.Sleep(2 * time.Second) // as long as it may take
	})
}

// TestX48ALoggerThatIsStuckHoldsUpNobodyElse: nothing is written while others wait for the counts.
func TestX48ALoggerThatIsStuckHoldsUpNobodyElse(t *testing.T) {
	stuck := make(chan struct{})
	l := newLines(slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
		if strings.Contains(string(p), "stuck") {
			<-stuck
		}
		return len(p), nil
	}), nil)), 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.say(t.Context(), "stuck", line{text: "stuck"})
	}()
	eventually(t, "it is stuck", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.kinds["stuck"] != nil
	})
	l.say(t.Context(), "stuck", line{text: http.StatusText(http.StatusOK)}) // is counted, and returns
	close(stuck)
	<-ended
	l.close()
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
