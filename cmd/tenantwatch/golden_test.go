package main

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
)

var update = flag.Bool("update", false, "write the golden files again, as the manager answers now")

const goldenFolder = "testdata/wire"

// TestTheWireIsWhatTheGoldenFilesSay plays the requests of the golden files to a running manager, over plain HTTP, and
// listens to its Redis as any subscriber would. What comes back has to be what is written, to the byte.
func TestTheWireIsWhatTheGoldenFilesSay(t *testing.T) {
	if !*update {
		t.Parallel()
	}
	sqlite := func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "t.db") }
	postgres := func(t *testing.T) string { return testserver.SharedPostgres(t).Database(t) }
	for _, run := range []struct {
		name, channels string
		database       func(t *testing.T) string
	}{
		{"SQLite, both channels", "both", sqlite}, // the first, because it is the one that updates
		{"SQLite, the environment's channel", "env", sqlite},
		{"SQLite, the tenant's channel", "tenant", sqlite},
		{"PostgreSQL, both channels", "both", postgres},
	} {
		t.Run(run.name, func(t *testing.T) {
			if !*update {
				t.Parallel()
			}
			w := newWire(t, run.database(t), run.channels)
			var all []scene
			files, played := goldenFiles(t), 0
			for _, file := range files {
				t.Run(filepath.Base(file), func(t *testing.T) {
					all = append(all, w.replay(t, file)...)
					played++
				})
			}
			if played == len(files) { // -run may have chosen one
				checkCoverage(t, all)
			}
			w.end()
		})
	}
}

func goldenFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(goldenFolder, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d golden files, %v", len(files), err)
	}
	return files
}

// wire is a manager, and both ends of what passes between it and the world.
type wire struct {
	url, channels string
	settle        func(t *testing.T) // waits until what was answered is published
	end           func()
	updates       bool              // -update writes what this one answers
	notPlayed     map[string]string // by the request, why
	left          int               // how many were not
	http          *http.Client
	redis         *redis.Client
	messages      *redis.PubSub
	masks         *masks
}

func newWire(t *testing.T, dsn, channels string) *wire {
	t.Helper()
	s := startServe(t, dsn, "--channels", channels)
	token, _ := strings.CutPrefix(s.env[0], "TENANTWATCH_TOKEN=")
	w := connectWire(t, s.ready.ManagerURL, s.redis.Addr(), strings.TrimSpace(s.command("key", "create", "--service", "ledger")), token)
	w.channels, w.updates, w.settle, w.end = channels, *update && channels == "both", w.awaitEmptyOutbox, s.interrupt
	return w
}

func connectWire(t *testing.T, url, redisAddr, key, token string) *wire {
	t.Helper()
	w := &wire{
		url: url, channels: "both", masks: newMasks(),
		http:  &http.Client{Transport: &http.Transport{DisableCompression: true}},
		redis: redis.NewClient(&redis.Options{Addr: redisAddr}),
	}
	w.masks.words["{key}"], w.masks.words["{token}"] = key, token
	w.messages = w.redis.PSubscribe(t.Context(), "*")
	t.Cleanup(func() {
		w.http.CloseIdleConnections()
		_ = w.messages.Close()
		_ = w.redis.Close()
	})
	if _, err := w.messages.ReceiveTimeout(t.Context(), patience); err != nil { // the confirmation
		t.Fatal(err)
	}
	return w
}

// replay plays a file, and returns its scenes as they went.
func (w *wire) replay(t *testing.T, file string) []scene {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	written := parseScenes(t, string(text))
	played := make([]scene, 0, len(written))
	for _, want := range written {
		if w.notPlayed[want.String()] != "" {
			w.left++
			continue
		}
		got := w.play(t, want)
		played = append(played, got)
		if w.updates {
			continue
		}
		want.events = heardOn(want.events, w.channels)
		if got, want := got.outcome(), want.outcome(); got != want {
			t.Errorf("%s\n--- got\n%s--- want\n%s", played[len(played)-1].String(), got, want)
		}
	}
	if w.updates {
		if err := os.WriteFile(file, []byte(formatScenes(played)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return played
}

// play makes the request of a scene, and returns the scene with what came of it.
func (w *wire) play(t *testing.T, s scene) scene {
	t.Helper()
	method, target, _ := strings.Cut(s.call, " ")
	resp, body := w.do(t, method, w.masks.version(w.masks.fill(target)), w.masks.fill(s.body), func(h http.Header) {
		for name, value := range s.headers {
			h.Set(name, w.masks.fill(value))
			if value == "-" {
				h.Del(name)
			}
		}
	})
	checkAnswer(t, s.call, resp, body)
	s.status, s.contentType = resp.StatusCode, resp.Header.Get("Content-Type")
	s.answer = w.masks.answer(t, s.call, resp.StatusCode, body)
	s.events = w.heard(t)
	return s
}

// do makes a request with the key and, if it changes something, with the token.
func (w *wire) do(t *testing.T, method, target, body string, change func(http.Header)) (resp *http.Response, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, w.url+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-API-Key", w.masks.words["{key}"])
	if method != http.MethodGet {
		req.Header.Set("Authorization", "Bearer "+w.masks.words["{token}"])
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	change(req.Header)
	if resp, err = w.http.Do(req); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // it has been read
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(data)
}

// heard returns what has come over Redis since it was called last. Nothing that was answered is still on its way: the outbox
// is empty, and a message of our own, sent after that, has arrived.
func (w *wire) heard(t *testing.T) []message {
	t.Helper()
	w.settle(t)
	const end = "the end"
	if err := w.redis.Publish(t.Context(), end, "").Err(); err != nil {
		t.Fatal(err)
	}
	var out []message
	for {
		received, err := w.messages.ReceiveTimeout(t.Context(), patience)
		if err != nil {
			t.Fatal(err)
		}
		m, ok := received.(*redis.Message)
		switch {
		case !ok || m.Channel == "tenant-heartbeat:staging":
		case m.Channel == end:
			return out
		default:
			out = w.take(t, out, m)
		}
	}
}

// take keeps an event once for all its channels.
func (w *wire) take(t *testing.T, heard []message, m *redis.Message) []message {
	t.Helper()
	channel := w.masks.hide(m.Channel)
	if last := len(heard) - 1; last >= 0 && heard[last].raw == m.Payload {
		heard[last].channels = append(heard[last].channels, channel)
		return heard
	}
	return append(heard, message{channels: []string{channel}, data: w.masks.event(t, m.Payload), raw: m.Payload})
}

func (w *wire) awaitEmptyOutbox(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		resp, body := w.do(t, http.MethodGet, "/v1/admin/outbox", "", func(h http.Header) {
			h.Set("Authorization", "Bearer "+w.masks.words["{token}"])
		})
		status := struct{ Pending, Quarantined int }{Pending: -1}
		err := json.Unmarshal([]byte(body), &status)
		if err != nil || resp.StatusCode != http.StatusOK || status.Quarantined > 0 || time.Now().After(deadline) {
			t.Fatalf("the outbox is %s %s, %v", resp.Status, body, err)
		}
		if status.Pending == 0 {
			return
		}
	}
}
