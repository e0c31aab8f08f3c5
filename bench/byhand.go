package main

import (
	"encoding/json"
	"io"
	"net/http"
	"sync"
)

// byHand is the thirty lines that a service writes for itself.
type byHand struct {
	mu      sync.RWMutex
	active  map[string]struct{}
	changed func(id string)
}

func (h *byHand) isActive(id string) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	_, ok := h.active[id]
	return ok
}

func (h *byHand) ids() []string {
	h.mu.RLock()
	defer h.mu.RUnlock()
	ids := make([]string, 0, len(h.active))
	for id := range h.active {
		ids = append(ids, id)
	}
	return ids
}

func (h *byHand) set(id string, active bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if active {
		h.active[id] = struct{}{}
	} else {
		delete(h.active, id)
	}
}

type handRow struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Status string `json:"status"`
}

// fetch reads the list into the map.
func (h *byHand) fetch(url string) error {
	req, err := http.NewRequest(http.MethodGet, url, http.NoBody) //nolint:noctx // as people write it
	if err != nil {
		return err
	}
	req.Header.Set("Accept-Encoding", "identity")
	client := &http.Client{Transport: new(http.Transport)}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // it was read to its end
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	var rows []*handRow
	if err := json.Unmarshal(body, &rows); err != nil {
		return err
	}
	active := make(map[string]struct{}, len(rows))
	for _, row := range rows {
		active[row.ID] = struct{}{}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.active = active
	return nil
}

type handEvent struct {
	EventID     string          `json:"event_id"`
	EventType   string          `json:"event_type"`
	Timestamp   string          `json:"timestamp"`
	TenantID    string          `json:"tenant_id"`
	TenantSlug  string          `json:"tenant_slug"`
	Environment string          `json:"environment"`
	Payload     json.RawMessage `json:"payload"`
}

type handPayload struct {
	ServiceName string `json:"service_name"`
}

// receive applies one message.
func (h *byHand) receive(data []byte, service string) error {
	var evt handEvent
	if err := json.Unmarshal(data, &evt); err != nil {
		return err
	}
	var payload handPayload
	if err := json.Unmarshal(evt.Payload, &payload); err != nil {
		return err
	}
	if payload.ServiceName != service {
		return nil
	}
	h.set(evt.TenantID, evt.EventType == "tenant.service.associated")
	if h.changed != nil {
		h.changed(evt.TenantID)
	}
	return nil
}
