package tenanttest

import (
	"bytes"
	"compress/gzip"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// serveList answers GET /v1/tenants/active. The request is counted whether it is authorized or not.
func (m *Manager) serveList(w http.ResponseWriter, r *http.Request) {
	m.noteRequest(r.Header)
	if !m.authorize(w, r, false) {
		return
	}
	service := r.URL.Query().Get("service")
	if err := checkListed(service); err != nil {
		writeError(w, err)
		return
	}
	answer, err := m.read(r.Context(), service)
	switch {
	case err != nil || answer.dropped: // an error is the client's going away
		panic(http.ErrAbortHandler)
	case answer.failure != nil:
		writeFailure(w, answer.failure)
	case answer.answer != nil:
		answer.answer.write(w)
	default:
		m.writeList(w, r, answer)
	}
}

func checkListed(service string) error {
	switch {
	case strings.TrimSpace(service) == "":
		return refuse(http.StatusBadRequest, "SERVICE_REQUIRED", "the query parameter service is missing")
	case !tenant.ValidName(service):
		return refuse(http.StatusBadRequest, "INVALID_SERVICE", "the query parameter service cannot be a service's name")
	}
	return nil
}

// noteRequest counts a request for a list or for its changes. A nil header is none.
func (m *Manager) noteRequest(header http.Header) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.listRequests++
	if header != nil {
		m.lastRequest = header.Clone()
	}
}

func (m *Manager) writeList(w http.ResponseWriter, r *http.Request, l list) {
	body := []byte(encode(l.rows))
	if m.versions {
		describe(w.Header(), l.with)
		if matches(r.Header.Values("If-None-Match"), l.with.ETag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Add("Vary", "Accept-Encoding")
	}
	writeBody(w, body, m.versions && acceptsGzip(r.Header), l.cut)
}

// writeBody writes all of it, or with cut only the first half.
func writeBody(w http.ResponseWriter, body []byte, compressed, cut bool) {
	if compressed {
		w.Header().Set("Content-Encoding", "gzip")
		body = compress(body)
	}
	w.Header().Set("Content-Type", jsonType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if cut {
		writeHalf(w, body)
	}
	_, _ = w.Write(body) // the client is gone if this fails
}

func describe(h http.Header, with tenant.Snapshot) {
	h.Set("ETag", with.ETag)
	h.Set(managerapi.HeaderEpoch, with.Version.Epoch)
	h.Set(managerapi.HeaderRevision, strconv.FormatUint(with.Version.Revision, 10))
	if with.Environment != "" {
		h.Set(managerapi.HeaderEnvironment, with.Environment)
	}
}

// matches compares weakly, as If-None-Match wants.
func matches(conditions []string, etag string) bool {
	return slices.ContainsFunc(conditions, func(condition string) bool {
		return slices.ContainsFunc(strings.Split(condition, ","), func(one string) bool {
			one = strings.TrimPrefix(strings.TrimSpace(one), "W/")
			return one == etag || one == "*"
		})
	})
}

// acceptsGzip knows q=0, and takes any other weight as a yes.
func acceptsGzip(h http.Header) bool {
	for coding := range strings.SplitSeq(strings.Join(h.Values("Accept-Encoding"), ","), ",") {
		name, weight, _ := strings.Cut(coding, ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		_, q, weighted := strings.Cut(weight, "=")
		value, err := strconv.ParseFloat(strings.TrimSpace(q), 64)
		return !weighted || err != nil || value > 0
	}
	return false
}

func compress(body []byte) []byte {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	_, _ = zip.Write(body) // a buffer takes everything
	_ = zip.Close()
	return out.Bytes()
}

// writeHalf does not return.
func writeHalf(w http.ResponseWriter, body []byte) {
	_, _ = w.Write(body[:len(body)/2])        // the connection breaks in any case
	_ = http.NewResponseController(w).Flush() // so that the half is seen
	panic(http.ErrAbortHandler)
}

func writeFailure(w http.ResponseWriter, f *failure) {
	if f.retryAfter != "" {
		w.Header().Set("Retry-After", f.retryAfter)
	}
	writeError(w, refuse(f.status, faultCode, faultMessage))
}

func (a *Answer) status() int {
	if a.Status == 0 {
		return http.StatusOK
	}
	return a.Status
}

func (a *Answer) header() http.Header {
	h := http.Header{"Content-Type": {jsonType}}
	for name, values := range a.Header {
		h[http.CanonicalHeaderKey(name)] = values
	}
	return h
}

func (a *Answer) write(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.header())
	w.WriteHeader(a.status())
	_, _ = w.Write(a.Body) // the client is gone if this fails
}
