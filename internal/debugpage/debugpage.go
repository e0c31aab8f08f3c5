// Package debugpage is what the debug pages of this module have in common: how they answer, how they look, and how a list is
// cut into pages. What they show is the affair of the packages that have one.
package debugpage

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// Length is how many tenants a page of a list has unless the request says otherwise, and longest the most that it may say.
	Length  = 100
	longest = 1000
	// ContentJSON is the media type of an answer for programs.
	ContentJSON = "application/json; charset=utf-8"

	contentPolicy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'"
)

//go:embed head.html
var head string

// Parse makes a template of the source of a page, which may use {{template "head"}} for the style, and the functions ago, for
// how long ago a time is, and clock, for the time. It is for handlers to call and not for when a program starts, so that a
// program without the page does not link it. A source that is none panics.
func Parse(source string) *template.Template {
	page := template.New("page").Funcs(template.FuncMap{
		"ago":   func(t time.Time) string { return Ago(time.Since(t)) },
		"clock": func(t time.Time) string { return t.Format("2006-01-02 15:04:05.000 MST") },
	})
	template.Must(page.New("head").Parse(head))
	return template.Must(page.Parse(source))
}

// Harden sets what belongs on every answer of next: it is for no cache, runs nothing, and is what it says it is.
func Harden(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Security-Policy", contentPolicy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

// Show answers with the page for v, or, when that fails, with a 500 and a line in log.
func Show(w http.ResponseWriter, log *slog.Logger, page *template.Template, v any) {
	var body bytes.Buffer
	if err := page.Execute(&body, v); err != nil {
		failed(w, log, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(body.Bytes()) // the reader has gone if this fails
}

// Answer answers with v as JSON, or as Show does.
func Answer(w http.ResponseWriter, log *slog.Logger, v any) {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		failed(w, log, err)
		return
	}
	w.Header().Set("Content-Type", ContentJSON)
	_, _ = w.Write(append(data, '\n')) // the reader has gone if this fails
}

func failed(w http.ResponseWriter, log *slog.Logger, err error) {
	log.Error("the debug page failed", slog.Any("error", err))
	http.Error(w, "the log says what is wrong", http.StatusInternalServerError)
}

// Limit reads how many tenants are asked for: Length where nothing is said, 1,000 at most.
func Limit(text string) (int, error) {
	if text == "" {
		return Length, nil
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 || limit > longest {
		return 0, fmt.Errorf("limit %.20q: it is a number from 1 to %d", text, longest)
	}
	return limit, nil
}

// Ago is a duration for people.
func Ago(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	default:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	}
}
