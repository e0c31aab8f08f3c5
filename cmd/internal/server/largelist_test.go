package server

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
)

// TestAListThatReadersRefuseIsWarnedOf once for each service, however often it is read.
func TestAListThatReadersRefuseIsWarnedOf(t *testing.T) {
	h := start(t)
	h.large.limit = 200 << 10
	tenants := make([]store.NewTenant, 300)
	for i := range tenants {
		tenants[i] = store.NewTenant{Name: strings.Repeat("n", 1000) + string(rune('a'+i%26)), Slug: "t-" + strconv.Itoa(i)}
	}
	if err := h.store.Seed(t.Context(), "ledger", tenants[:100]); err != nil {
		t.Fatal(err)
	}
	h.want(t, http.StatusOK, "GET", ledgerList, "")
	if log := h.log.String(); strings.Contains(log, "10 MiB") {
		t.Errorf("a small list is warned of:\n%s", log)
	}
	if err := h.store.Seed(t.Context(), "ledger", tenants[100:]); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		h.want(t, http.StatusOK, "GET", ledgerList, "")
	}
	if log := h.log.String(); strings.Count(log, "10 MiB") != 1 || !strings.Contains(log, "service=ledger") {
		t.Errorf("the log, want one warning:\n%s", log)
	}
	h.large.limit = 0
	if !h.large.note("payments", readerLimit+1) || h.large.note("payments", readerLimit+1) || h.large.note("billing", readerLimit) {
		t.Error("a warning is once for each service, and for what is larger than the limit")
	}
}
