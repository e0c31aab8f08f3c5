package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/managerapi"
)

// api is where calls are registered.
type api struct {
	huma.API

	mux *http.ServeMux
	s   *Server
}

// reply is a status and a JSON body.
type reply[T any] struct {
	Status int
	Body   T
}

// nothing is a success without a body, or a call without parameters.
type nothing struct{}

// publicHandler makes the routes, and the document that describes them.
func (s *Server) publicHandler() (http.Handler, error) {
	mux := http.NewServeMux()
	a := &api{humago.New(mux, humaConfig(s.cfg.Version)), mux, s}
	for _, c := range calls {
		c.serve(a, c)
		if c.describe != nil {
			c.describe(a, c)
		}
	}
	for _, unused := range []string{"ErrorModel", "ErrorDetail"} { // huma's own, which no call answers with
		delete(a.OpenAPI().Components.Schemas.Map(), unused)
	}
	a.complete()
	var err error
	if s.document, err = json.Marshal(a.OpenAPI()); err != nil {
		return nil, fmt.Errorf("write the OpenAPI document: %w", err)
	}
	return s.observed(mux, s.guarded(mux)), nil
}

func (s *Server) serveDocument(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", jsonType)
	_, _ = w.Write(s.document) // the client is gone if this fails
}

// humaConfig has JSON alone, adds nothing to bodies, and leaves out huma's pages.
func humaConfig(version string) huma.Config {
	schemas := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	schemas.RegisterTypeAlias(reflect.TypeFor[managerapi.SecretJSON](), reflect.TypeFor[json.RawMessage]())
	schemas.RegisterTypeAlias(reflect.TypeFor[managerapi.Timestamp](), reflect.TypeFor[time.Time]())
	shapes(schemas)
	config := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info:    &huma.Info{Title: "tenantwatch tenant manager", Version: version},
			Components: &huma.Components{Schemas: schemas, SecuritySchemes: map[string]*huma.SecurityScheme{
				"key":   {Type: "apiKey", In: "header", Name: "X-API-Key", Description: "the key of a service"},
				"token": {Type: "http", Scheme: "bearer", Description: "the token of an administrator"},
			}},
		},
		Formats: map[string]huma.Format{jsonType: {
			Marshal:   func(w io.Writer, v any) error { return writeJSON(w, v) },
			Unmarshal: json.Unmarshal,
		}},
		DefaultFormat: jsonType,
		Transformers:  []huma.Transformer{inOurWords},
	}
	config.AllowAdditionalPropertiesByDefault = true // what is not a field is ignored
	return config
}

// plain is for a call that the OpenAPI document does not have.
func plain(serve func(s *Server, w http.ResponseWriter, r *http.Request)) route {
	return func(a *api, c call) {
		a.mux.HandleFunc(c.pattern(), func(w http.ResponseWriter, r *http.Request) { serve(a.s, w, r) })
	}
}

// read is for a call that changes nothing.
func read[I, O any](serve func(s *Server, ctx context.Context, in *I) (*O, error)) route {
	return func(a *api, c call) {
		huma.Register(a.API, a.operation(c), func(ctx context.Context, in *I) (*O, error) {
			ctx, cancel := context.WithTimeout(ctx, a.s.cfg.RequestTimeout)
			defer cancel()
			done, err := a.s.limits.reads.take(ctx, callerOf(ctx).share())
			if err != nil {
				return nil, answered(ctx, err)
			}
			defer done()
			out, err := serve(a.s, withDeed(ctx, c.id), in)
			return out, answered(ctx, err)
		})
	}
}

// withDeed tells the store who asks for what, for the audit; what became of it is in the note of the request.
func withDeed(ctx context.Context, call string) context.Context {
	left := noteOf(ctx)
	left.deed = store.Deed{Actor: callerOf(ctx).actor(), Request: left.request, Address: left.address, Call: call}
	return store.WithDeed(ctx, &left.deed)
}

// write is for a call that changes something. Once the change has begun it is made even if the client goes away meanwhile,
// because nobody could tell how far it came.
func write[I, O any](serve func(s *Server, ctx context.Context, in *I) (*O, error)) route {
	return func(a *api, c call) {
		huma.Register(a.API, a.operation(c), func(ctx context.Context, in *I) (*O, error) {
			return change(ctx, a.s, c, func(ctx context.Context) (*O, error) { return serve(a.s, ctx, in) })
		})
	}
}

// change makes a change when it is its turn.
func change[O any](ctx context.Context, s *Server, c call, serve func(context.Context) (*O, error)) (*O, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.RequestTimeout)
	defer cancel()
	done, err := s.limits.changes.take(ctx, callerOf(ctx).share())
	if err != nil {
		return nil, answered(ctx, err)
	}
	defer done()
	end, _ := ctx.Deadline()
	ctx, cancel = context.WithDeadline(context.WithoutCancel(ctx), end)
	defer cancel()
	out, err := serve(withDeed(ctx, c.id))
	if err == nil {
		s.changed(ctx, c.id)
	}
	return out, answered(ctx, err)
}

// writeBody is for a call that changes something and has a JSON body.
func writeBody[B, I, O any](serve func(s *Server, ctx context.Context, in *I, body B) (*O, error)) route {
	return func(a *api, c call) {
		op := a.operation(c)
		op.Middlewares = huma.Middlewares{func(ctx huma.Context, next func(huma.Context)) {
			r, w := humago.Unwrap(ctx)
			var body B
			if err := readBody(w, r, &body, c.bare); err != nil {
				writeError(w, r, err)
				return
			}
			next(huma.WithValue(ctx, bodyKey{}, body))
		}}
		huma.Register(a.API, op, func(ctx context.Context, in *I) (*O, error) {
			return change(ctx, a.s, c, func(ctx context.Context) (*O, error) { return serve(a.s, ctx, in, ctx.Value(bodyKey{}).(B)) })
		})
		shape := reflect.TypeFor[B]()
		if shown, ok := any(*new(B)).(interface{ shownAs() reflect.Type }); ok {
			shape = shown.shownAs()
		}
		a.describeBody(c, shape)
	}
}

type bodyKey struct{}

// stream is for a call that writes its answer itself, as it comes. An error of serve is the answer as long as nothing
// was written, and breaks the connection afterwards, so that nobody takes a part for the whole.
func stream[I any](serve func(s *Server, w http.ResponseWriter, r *http.Request, in *I) error) route {
	return func(a *api, c call) {
		huma.Register(a.API, a.operation(c), func(_ context.Context, in *I) (*huma.StreamResponse, error) {
			return &huma.StreamResponse{Body: func(ctx huma.Context) {
				r, w := humago.Unwrap(ctx)
				err := serve(a.s, w, r, in)
				if err == nil {
					return
				}
				if begun := w.(*recorder).status != 0; begun { // observed makes it one
					noteOf(r.Context()).cause = err
					panic(http.ErrAbortHandler)
				}
				writeError(w, r, err)
			}}, nil
		})
	}
}

// answered is the error for huma, and a note of it for the log.
func answered(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	answer := explain(err)
	noteOf(ctx).failed(answer, err)
	return answer
}

func (a *api) operation(c call) huma.Operation {
	token := map[string][]string{"token": {}}
	security := []map[string][]string{{"key": {}}, token}
	if c.access == byToken {
		security = []map[string][]string{{"key": {}, "token": {}}, token}
	}
	return huma.Operation{
		Method: c.method, Path: c.path, OperationID: c.id, Summary: c.summary, Tags: []string{c.tag},
		DefaultStatus: c.status, Security: security,
		Responses: map[string]*huma.Response{"default": {
			Description: "refused or failed",
			Content:     map[string]*huma.MediaType{jsonType: {Schema: a.schema(reflect.TypeFor[apiError]())}},
			Headers: map[string]*huma.Param{
				"Retry-After":      {Description: "of 429 and 503, in seconds", Schema: &huma.Schema{Type: huma.TypeString}},
				"WWW-Authenticate": {Description: "of 401: ApiKey or Bearer", Schema: &huma.Schema{Type: huma.TypeString}},
			},
		}},
	}
}

// describeBody is done after the call is registered, or else huma would read the body itself.
func (a *api) describeBody(c call, body reflect.Type) {
	a.described(c).RequestBody = &huma.RequestBody{
		Required: !c.bare, Content: map[string]*huma.MediaType{jsonType: {Schema: a.schema(body)}},
	}
}

// describeAnswer is for calls that write their answer themselves, and for further statuses of success.
func (a *api) describeAnswer(c call, status int, description, contentType string, body reflect.Type) {
	answer := &huma.Response{Description: description}
	if body != nil {
		schema := a.schema(body)
		schema.Nullable = false // an empty list is []
		answer.Content = map[string]*huma.MediaType{contentType: {Schema: schema}}
	}
	a.described(c).Responses[strconv.Itoa(status)] = answer
}

// describeVersion names the headers that tell which list an answer is.
func (a *api) describeVersion(c call, status int) {
	text := &huma.Schema{Type: huma.TypeString}
	a.described(c).Responses[strconv.Itoa(status)].Headers = map[string]*huma.Param{
		"ETag":                       {Description: "changes only when the list does", Schema: text},
		managerapi.HeaderEnvironment: {Description: "the environment of the list", Schema: text},
		managerapi.HeaderEpoch:       {Description: "which data these are; new after a restore", Schema: text},
		managerapi.HeaderRevision:    {Description: "a decimal number; the list is the one at this revision", Schema: text},
	}
}

func (a *api) environmentHeader() map[string]*huma.Param {
	return map[string]*huma.Param{
		managerapi.HeaderEnvironment: {Description: "the environment of the list", Schema: &huma.Schema{Type: huma.TypeString}},
	}
}

// describeRequired is for a parameter that the call checks itself, because its words for the refusal are fixed.
func (a *api) describeRequired(c call, name string) {
	for _, param := range a.described(c).Parameters {
		if param.Name == name {
			param.Required = true
		}
	}
}

func (a *api) schema(t reflect.Type) *huma.Schema {
	return a.OpenAPI().Components.Schemas.Schema(t, true, t.Name())
}

func (a *api) described(c call) *huma.Operation {
	item := a.OpenAPI().Paths[c.path]
	return map[string]*huma.Operation{"GET": item.Get, "POST": item.Post, "PUT": item.Put, "PATCH": item.Patch, "DELETE": item.Delete}[c.method]
}
