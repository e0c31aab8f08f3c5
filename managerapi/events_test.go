package managerapi

import "testing"

func TestX23APageKeepsEventsAsPublished(t *testing.T) {
	const evt = `{"event_type":"tenant.created","timestamp":"2026-03-27T14:45:00.120000Z","tenant_id":"acme","unknown": [1.0]}`
	m := startManager(t, always(200, `{"epoch":"e","events":[`+evt+`],"next":1}`))
	page, err := newClient(t, Config{BaseURL: m.URL, BearerToken: StaticKey("t")}).Admin().Events(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Raw) != 1 || string(page.Raw[0]) != evt || len(page.Events) != 1 || page.Events[0].TenantID != "acme" {
		t.Errorf("got %q and %+v", page.Raw, page.Events)
	}
}

func TestAPageOfEventsThatCannotBeReadIsRefused(t *testing.T) {
	for _, body := range []string{`{"events":[1]}`, `{"events":{}}`, `{"events":[{"event_type":1}]}`} {
		m := startManager(t, always(200, body))
		if page, err := newClient(t, Config{BaseURL: m.URL, BearerToken: StaticKey("t")}).Admin().Events(t.Context(), 0, 0); err == nil {
			t.Errorf("%s: got %+v", body, page)
		}
	}
}

func TestX21APageOfEventsHasExactNames(t *testing.T) {
	const evt = `{"event_type":"tenant.created","tenant_id":"acme","x":"<"}`
	m := startManager(t, always(200, `{"epoch":"e","Epoch":"other","Events":7,"events":[`+evt+`],"next":1,"NEXT":2}`))
	page, err := newClient(t, Config{BaseURL: m.URL, BearerToken: StaticKey("t")}).Admin().Events(t.Context(), 0, 0)
	if err != nil || page.Epoch != "e" || page.Next != 1 || len(page.Raw) != 1 || string(page.Raw[0]) != evt {
		t.Errorf("got %+v, %v", page, err)
	}
}
