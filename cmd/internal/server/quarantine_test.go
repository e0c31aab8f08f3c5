package server

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
)

func TestM06AdminShowsAndRetriesWhatWasGivenUp(t *testing.T) {
	file := filepath.Join(t.TempDir(), "manager.db")
	woken := make(chan struct{}, 100)
	h := serve(t, openDSN(t, "sqlite:"+file), func(*Server) {}, func(c *Config) { c.OnChange = func() { woken <- struct{}{} } })
	const list = "/v1/admin/outbox/quarantined"
	has(t, h.want(t, 200, "GET", list, "").body, `{"events":[],"next":0}`)
	h.tenant(t, "Acme")
	h.tenant(t, "Umbrella")
	stored, err := h.store.Pending(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, 3} {
		if err := h.store.Quarantine(t.Context(), stored[i].Ref(), "refused <for good>"); err != nil {
			t.Fatal(err)
		}
	}
	breakEvent(t, file, 4, "no event \xff")
	body := h.want(t, 200, "GET", list+"?limit=1", "").body
	has(t, body, `{"events":[{"revision":1,"event":`+string(stored[0].Data)+`,"failure":"refused`, `,"attempts":0,"quarantinedAt":"20`, `"next":1}`)
	body = h.want(t, 200, "GET", list+"?after=1", "").body
	has(t, body, `{"events":[{"revision":4,"raw":"bm8gZXZlbnQg/w==","failure":`, `"next":4}`)

	if err := h.store.MarkSent(t.Context(), stored[1].Ref(), stored[2].Ref()); err != nil {
		t.Fatal(err)
	}
	has(t, h.want(t, 409, "POST", list+"/1/retry", "").body, `"code":"EVENT_OVERTAKEN"`)
	h.want(t, 409, "POST", list+"/1/retry?force=false", "")
	for len(woken) > 0 {
		<-woken
	}
	h.want(t, 204, "POST", list+"/1/retry?force=true", "")
	h.want(t, 204, "POST", list+"/4/retry", "")
	if len(woken) != 2 {
		t.Errorf("the relay was told %d times", len(woken))
	}
	has(t, h.want(t, 404, "POST", list+"/1/retry", "").body, `"code":"EVENT_NOT_FOUND"`)
	for _, path := range []string{"/x/retry", "/-1/retry", "/1/retry?force=yes"} {
		h.want(t, 400, "POST", list+path, "")
	}
	h.want(t, 400, "GET", list+"?after=x", "")
	h.want(t, 400, "GET", list+"?limit=0", "")
	h.want(t, 401, "POST", list+"/1/retry", "", without("Authorization"))
	if body := h.want(t, 200, "GET", "/v1/admin/outbox", "").body; !strings.Contains(body, `"pending":2,"quarantined":0`) {
		t.Errorf("the outbox: %s", body)
	}
}

func breakEvent(t *testing.T, file string, revision int, data string) {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), `UPDATE outbox SET data = ? WHERE revision = ?`, []byte(data), revision); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
