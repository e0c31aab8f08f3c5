package debugpage

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestAPageHasItsStyleAndIsHardened(t *testing.T) {
	page := Parse(`{{template "head"}}<p>{{.}} {{ago .When}}`)
	log := slog.New(slog.DiscardHandler)
	w := httptest.NewRecorder()
	Harden(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		Show(w, log, page, struct{ When time.Time }{time.Now()})
	})).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
	if body := w.Body.String(); w.Code != http.StatusOK || !strings.Contains(body, "<style>") || !strings.Contains(body, "<p>{") {
		t.Errorf("%d, %s", w.Code, body)
	}
	if h := w.Header(); h.Get("Cache-Control") != "no-store" || !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("the header is %v", h)
	}
}

// TestWhatCannotBeShownIsA500AndALine, and nothing of it is sent.
func TestWhatCannotBeShownIsA500AndALine(t *testing.T) {
	for name, answer := range map[string]func(http.ResponseWriter, *slog.Logger){
		"page": func(w http.ResponseWriter, log *slog.Logger) { Show(w, log, Parse(`half{{.Missing}}`), struct{}{}) },
		"JSON": func(w http.ResponseWriter, log *slog.Logger) { Answer(w, log, func() {}) },
	} {
		var out bytes.Buffer
		w := httptest.NewRecorder()
		answer(w, slog.New(slog.NewTextHandler(&out, nil)))
		if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "half") || !strings.Contains(out.String(), "ERROR") {
			t.Errorf("%s: %d, %s; the log says %s", name, w.Code, w.Body, &out)
		}
	}
}

func TestLimit(t *testing.T) {
	for text, want := range map[string]int{"": Length, "1": 1, "1000": 1000, "0": 0, "-1": 0, "1001": 0, "many": 0} {
		if got, err := Limit(text); got != want || (err != nil) != (want == 0) {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}
