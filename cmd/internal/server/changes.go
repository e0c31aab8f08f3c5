package server

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
)

const changesPath = "/v1/tenants/active/changes"

type changesInput struct {
	Service string `query:"service" doc:"the name of the service"`
	Since   string `query:"since"   doc:"epoch:revision of the list that the caller has"`
}

func describeChanges(a *api, changes call) {
	a.describeAnswer(changes, http.StatusOK, "the events since then, and what the list has after them", jsonType, reflect.TypeFor[managerapi.Changes]())
	a.described(changes).Responses["200"].Headers = a.environmentHeader()
	a.describeAnswer(changes, http.StatusGone, "the version is too old, of another epoch or ahead, or too much has changed: read the list", jsonType, reflect.TypeFor[apiError]())
	a.describeRequired(changes, "service")
	a.describeRequired(changes, "since")
}

// serveChanges reads all that it answers before it writes, so that no client keeps the database waiting.
func (s *Server) serveChanges(w http.ResponseWriter, r *http.Request, in *changesInput) error {
	who := callerOf(r.Context())
	if err := checkListed(who, in.Service); err != nil {
		return err
	}
	since, err := parseSince(in.Since)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.cfg.RequestTimeout)
	defer cancel()
	changes, err := s.readChanges(ctx, who, in.Service, since)
	if err != nil {
		return err
	}
	header := w.Header()
	header.Set("Content-Type", jsonType)
	header.Set("Vary", "Accept-Encoding")
	header.Set("Cache-Control", "private, no-cache")
	if environment := s.store.Environment(); environment != "" {
		header.Set(managerapi.HeaderEnvironment, environment)
	}
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	return writeChanges(w, changes, acceptsGzip(r.Header))
}

// parseSince wants an epoch and a revision. Whether there is such a version, the store says.
func parseSince(text string) (tenant.Version, error) {
	if text == "" {
		return tenant.Version{}, refuse(http.StatusBadRequest, "SINCE_REQUIRED", "the query parameter since is missing")
	}
	epoch, number, ok := cutLast(text, ":")
	revision, err := strconv.ParseUint(number, 10, 64)
	if !ok || epoch == "" || err != nil {
		return tenant.Version{}, refuse(http.StatusBadRequest, "INVALID_SINCE", "the query parameter since is not an epoch, a colon and a revision")
	}
	return tenant.Version{Epoch: epoch, Revision: revision}, nil
}

// readChanges counts the list first if nobody knows its count, which takes as long as reading it.
func (s *Server) readChanges(ctx context.Context, who caller, service string, since tenant.Version) (store.Changes, error) {
	changes, err := s.changesSince(ctx, who, service, since)
	if err != nil || changes.Counted {
		return changes, err
	}
	done, err := s.limits.lists.take(ctx, who.share())
	if err != nil {
		return changes, err
	}
	err = s.store.CountActive(ctx, service)
	done()
	if err != nil {
		return changes, err
	}
	if changes, err = s.changesSince(ctx, who, service, since); err == nil && !changes.Counted {
		err = store.ErrGone // a program that does not count has changed it meanwhile
	}
	return changes, err
}

func (s *Server) changesSince(ctx context.Context, who caller, service string, since tenant.Version) (store.Changes, error) {
	done, err := s.limits.reads.take(ctx, who.share())
	if err != nil {
		return store.Changes{}, err
	}
	defer done()
	stream := &eventStream{byKey: who.service != ""}
	return s.store.Changes(ctx, service, since, func(event store.Event) (bool, error) {
		if stream.hides(event) {
			return false, store.ErrGone
		}
		return concerns(event, service), nil
	})
}

// writeChanges writes the events as the stream sends them.
func writeChanges(w http.ResponseWriter, changes store.Changes, compressed bool) error {
	var to io.Writer = deadlineWriter{w, http.NewResponseController(w)}
	var zip *gzip.Writer
	if compressed {
		w.Header().Set("Content-Encoding", "gzip")
		zip = gzip.NewWriter(to)
		to = zip
	}
	out := bufio.NewWriterSize(to, chunkBytes)
	_, err := fmt.Fprintf(out, `{"epoch":%q,"revision":%d,"count":%d,"digest":"%016x","events":[`, changes.Epoch, changes.Revision, changes.Tenants, changes.Digest)
	for i, event := range changes.Events {
		if i > 0 {
			err = errors.Join(err, out.WriteByte(','))
		}
		if _, wrong := out.Write(event.Data); err != nil || wrong != nil {
			return errors.Join(err, wrong)
		}
	}
	_, wrong := out.WriteString("]}")
	if err := errors.Join(err, wrong, out.Flush()); err != nil || zip == nil {
		return err
	}
	return zip.Close()
}
