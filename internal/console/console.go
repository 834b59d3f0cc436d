// Package console serves what AWS's APIs have no words for: rialto's own HTTP API under /_rialto/.
//
// What it can do is in parts, a file for each: a [Part] is a list of routes over a small interface. openapi.json describes all of
// them for people and programs, and is served, too. Requests are signed like those to AWS's APIs where signatures are asked
// for, and see the account and the region that they are signed for. Errors are a JSON object with a message. Start with [New].
package console

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/ingest"
	"github.com/rialto-events/rialto/internal/route"
)

// Prefix is where the API lives.
const Prefix = "/_rialto/"

// maxBody bounds the body of a request, in bytes: that of AWS's APIs, since events come here, too.
const maxBody = 8 << 20

var errLarge = rialto.Errorf(rialto.Invalid, "The body has more than %d bytes.", maxBody)

// Options tunes the API. The zero value is ready to use.
type Options struct {
	Logger        *slog.Logger      // nil discards
	Authenticator aws.Authenticator // nil believes everyone
	Clock         rialto.Clock      // nil is the system's
}

// A Part is what the API can do about one thing.
type Part []Route

// A Route is one operation. openapi.json must describe it; a test of package server holds that.
type Route struct {
	Method string
	Path   string // as [http.ServeMux] takes it, such as /_rialto/v1/events/{id}
	Serve  func(w http.ResponseWriter, r *Request) error
}

// A Request is one whose sender is known.
type Request struct {
	*http.Request
	Scope     rialto.Scope // account and region that it is signed for
	Principal string       // ARN of the caller, for messages
	Body      []byte       // what the signature covers; r.Request.Body is empty
	Clock     rialto.Clock
}

// Decode reads the body as JSON into v. What v does not know is refused: it would be a mistake that nobody notices.
func (r *Request) Decode(v any) error {
	d := json.NewDecoder(bytes.NewReader(r.Body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return rialto.Errorf(rialto.Invalid, "The body is not the JSON that %s %s takes: %s.", r.Method, r.URL.Path, err)
	}
	if d.More() {
		return rialto.Errorf(rialto.Invalid, "The body has something after its JSON.")
	}
	return nil
}

// Bus reads the name or ARN of a bus, which must be the caller's; "" is the default bus.
func (r *Request) Bus(s string) (route.Bus, error) {
	bus, err := ingest.ParseBus(r.Scope, s)
	if err == nil && bus.Scope.Account != r.Scope.Account {
		err = rialto.Errorf(rialto.Denied, "The bus %s belongs to another account.", bus.ARN())
	}
	return bus, err
}

// New makes the handler of everything below [Prefix].
func New(opts Options, parts ...Part) http.Handler {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Authenticator == nil {
		opts.Authenticator = aws.AcceptAny{}
	}
	if opts.Clock == nil {
		opts.Clock = rialto.SystemClock
	}
	routes := slices.Concat(parts...)
	routes = append(routes, Route{"GET", "/_rialto/v1/{$}", index(routes)}, Route{"GET", "/_rialto/v1/openapi.json", describe})
	mux := http.NewServeMux()
	for _, route := range routes {
		mux.HandleFunc(route.Method+" "+route.Path, func(w http.ResponseWriter, r *http.Request) { opts.serve(w, r, route) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, rialto.Errorf(rialto.NotFound, "There is nothing at %s %s. /_rialto/v1/openapi.json says what there is.", r.Method, r.URL.Path))
	})
	return mux
}

// serve finds out who asks, and has the route answer.
func (o *Options) serve(w http.ResponseWriter, r *http.Request, route Route) {
	if r.ContentLength > maxBody {
		fail(w, errLarge) // before anybody has to wait for it
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			fail(w, errLarge)
		}
		return // otherwise the client has gone
	}
	who, err := aws.Identify(r, o.Authenticator, body)
	if err != nil {
		fail(w, err)
		return
	}
	err = route.Serve(w, &Request{Request: r, Scope: who.Scope, Principal: who.Principal, Body: body, Clock: o.Clock})
	if err == nil {
		return
	}
	if rialto.KindOf(err) == rialto.Internal && r.Context().Err() == nil {
		o.Logger.Error("request failed", "path", r.URL.Path, "err", err)
	}
	fail(w, err)
}

// Protected answers those whom the authenticator knows with what serves their account and region.
func Protected(auth aws.Authenticator, of func(rialto.Scope) http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := aws.Identify(r, auth, nil)
		if err != nil {
			fail(w, err)
			return
		}
		of(who.Scope).ServeHTTP(w, r)
	})
}

//go:embed openapi.json
var openAPI []byte

// describe serves the description of the API.
func describe(w http.ResponseWriter, _ *Request) error {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(openAPI) // an error of the connection is the client's to notice
	return nil
}

// plainPath writes a path as its description does.
var plainPath = strings.NewReplacer("{$}", "", "...}", "}")

// index lists what is served, so that a reader, or a test, can compare it with the description.
func index(routes []Route) func(http.ResponseWriter, *Request) error {
	list := []string{"GET /_rialto/v1/", "GET /_rialto/v1/openapi.json"}
	for _, r := range routes {
		list = append(list, r.Method+" "+plainPath.Replace(r.Path))
	}
	slices.Sort(list)
	return func(w http.ResponseWriter, _ *Request) error {
		return Answer(w, map[string]any{"description": "/_rialto/v1/openapi.json", "operations": list})
	}
}

// Answer writes a body as JSON.
func Answer(w http.ResponseWriter, body any) error {
	answer(w, http.StatusOK, body)
	return nil
}

// statuses are the HTTP statuses of kinds of errors; others are 400.
var statuses = map[rialto.Kind]int{
	rialto.Internal: http.StatusInternalServerError, rialto.NotFound: http.StatusNotFound, rialto.Denied: http.StatusForbidden,
	rialto.Unavailable: http.StatusServiceUnavailable, rialto.Throttled: http.StatusTooManyRequests,
}

func statusOf(err error) int {
	if status, ok := statuses[rialto.KindOf(err)]; ok {
		return status
	}
	return http.StatusBadRequest
}

func fail(w http.ResponseWriter, err error) {
	said := map[string]string{"message": err.Error()}
	if e, ok := errors.AsType[*rialto.Error](err); ok && e.Code != "" {
		said["code"] = e.Code
	}
	answer(w, statusOf(err), said)
}

// messageOf is what of an error the client may see.
func messageOf(err error) string {
	if e, ok := errors.AsType[*rialto.Error](err); ok {
		return e.Message
	}
	return "Something went wrong here; the log says what. Try again."
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false) // events are shown as they are; no browser takes this for a page
	_ = e.Encode(body)     // an error of the connection is the client's to notice
}
