package main

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/tenantwatch/tenantwatch/managerapi"
)

// someGivenUp is what every fake manager could not publish.
func someGivenUp() []managerapi.QuarantinedEvent {
	at := managerapi.Timestamp{Time: time.Date(2026, 3, 27, 14, 45, 0, 0, time.UTC)}
	return []managerapi.QuarantinedEvent{
		{Revision: 1, Event: json.RawMessage(`{"event_type":"tenant.created","tenant_id":"tenant-0001"}`), Failure: "refused", Attempts: 5, QuarantinedAt: at},
		{Revision: 2, Raw: []byte{0, 255}, Failure: "no event", Attempts: 1, QuarantinedAt: at},
	}
}

func (m *fakeManager) quarantined(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	after, err := strconv.ParseUint(r.FormValue("after"), 10, 64)
	if err != nil {
		refuse(w, http.StatusBadRequest, "INVALID_REVISION", "after is not a revision")
		return
	}
	result := managerapi.QuarantinePage{Events: []managerapi.QuarantinedEvent{}, Next: after}
	for _, q := range m.givenUp {
		if q.Revision > result.Next && len(result.Events) == 0 { // one to a page
			result.Events, result.Next = append(result.Events, q), q.Revision
		}
	}
	answer(w, http.StatusOK, result)
}

func (m *fakeManager) retry(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.givenUp, func(q managerapi.QuarantinedEvent) bool {
		return strconv.FormatUint(q.Revision, 10) == r.PathValue("revision")
	})
	switch {
	case i < 0:
		refuse(w, http.StatusNotFound, "EVENT_NOT_FOUND", "no such event was given up")
	case m.givenUp[i].Revision == 1 && r.FormValue("force") != "true":
		refuse(w, http.StatusConflict, "EVENT_OVERTAKEN", "a later event of the same tenant was sent already")
	default:
		m.givenUp = slices.Delete(m.givenUp, i, i+1)
		w.WriteHeader(http.StatusNoContent)
	}
}
