package aws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto"
)

// maxBody is the most a request may hold. The largest that Amazon accepts is 1 MiB of content, which JSON may write with six bytes
// for one; an entry that is merely too large for its service should still be told so by that service.
const maxBody = 8 << 20

const maxIgnored = 64 << 20 // bytes of a body too large that are read before the client is told so

const (
	bodyTimeout = 30 * time.Second // for a whole body to arrive; the SDKs give up on a silent connection after about a minute
	firstBuffer = 64 << 10         // bytes that are set aside for a body before any of it has come
)

// Options tunes a [Handler]. The zero value is ready to use.
type Options struct {
	Logger        *slog.Logger  // nil discards
	Authenticator Authenticator // nil is AcceptAny
	Clock         rialto.Clock  // nil is the real one
	PublicURL     string        // at which callers reach the server, if not at the Host that they name
}

// A Handler serves AWS APIs on one port.
type Handler struct {
	services []*Service
	log      *slog.Logger
	auth     Authenticator
	clock    rialto.Clock
	public   string
	troubled atomic.Int64 // Unix second of the last line about a request that could not be served for now
}

// NewHandler makes a Handler for the services.
func NewHandler(opt Options, services ...*Service) *Handler {
	h := &Handler{services: services, log: opt.Logger, auth: opt.Authenticator, clock: opt.Clock, public: strings.TrimSuffix(opt.PublicURL, "/")}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	if h.auth == nil {
		h.auth = AcceptAny{}
	}
	if h.clock == nil {
		h.clock = rialto.SystemClock
	}
	return h
}

// A route is where a request goes.
type route struct {
	service   *Service
	operation string
	status    int // of a good answer
	protocol  protocol
}

// ServeHTTP answers one request and writes one line about it: at level debug if it went well, info if it was refused, error if
// the fault is ours.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := h.clock.Now()
	req := &Request{
		ID: uuid.NewString(), BaseURL: h.baseURL(r), Trace: r.Header.Get("X-Amzn-Trace-Id"),
		TraceParent: r.Header.Get("Traceparent"), TraceState: strings.Join(r.Header["Tracestate"], ","),
	}
	w.Header()["X-Amzn-Requestid"] = []string{req.ID}

	to := route{service: unknownService, status: http.StatusOK, protocol: jsonProtocol{}}
	body, err := h.serve(w, r, req, &to)
	a := answer{status: to.status, body: body}
	if err != nil {
		a = to.protocol.failure(to.service.model, req, failureOf(to.service.model, err))
	}
	to.protocol.header(w.Header(), to.service.model)
	a.write(w)
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		a.status = statusClientGone
	}
	a.took = h.clock.Now().Sub(start)
	h.record(r.Context(), req, to, a, err)
}

// statusClientGone stands in the log, and there alone, for a request whose client did not wait for the answer.
const statusClientGone = 499

// An answer to a request.
type answer struct {
	status     int
	code       string // of an error
	queryError string // of an error in JSON, as older clients know it: the header X-Amzn-Query-Error
	errorType  string // of an error in REST-JSON: the header X-Amzn-Errortype
	body       []byte
	took       time.Duration
}

func (a *answer) write(w http.ResponseWriter) {
	if a.queryError != "" {
		w.Header()["X-Amzn-Query-Error"] = []string{a.queryError}
	}
	if a.errorType != "" {
		w.Header()["X-Amzn-Errortype"] = []string{a.errorType}
	}
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(a.body))}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // an error of the connection is the client's to notice
}

// serve does everything up to the body of a good answer. It fills in req and to as it learns of them, for the answer and the log.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, req *Request, to *route) (body []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			body, err = nil, fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	in := &incoming{Request: r, credential: credentialOf(r)}
	if in.body, err = readBody(w, r); err != nil {
		return nil, err
	}
	if err := h.route(in, to); err != nil {
		return nil, err
	}
	req.Service, req.Operation = to.service.model.Name, to.operation
	req.Query = to.protocol.name() == "query"
	op, unknown := to.service.find(to.operation)
	req.Scope.Region = in.region()
	if req.Anonymous = op.open && in.unsigned(); !req.Anonymous {
		who, err := h.auth.Authenticate(r, in.body, in.credential)
		if err != nil {
			return nil, err
		}
		req.Principal, req.Scope.Account = who.Principal, who.Account
	}
	if unknown != nil {
		return nil, unknown
	}
	d, err := to.protocol.decoder(to.service.model, in)
	if err != nil {
		return nil, err
	}
	out, err := op.call(WithCaller(r.Context(), req), d)
	if err != nil {
		return nil, err
	}
	return to.protocol.output(to.service.model, req, out), nil
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	// Who announces a body and does not send it must not hold a goroutine for ever. The deadline stays when reading fails, since
	// net/http reads on for a while before it answers. Not every ResponseWriter can set one.
	conn := http.NewResponseController(w)
	_ = conn.SetReadDeadline(time.Now().Add(bodyTimeout))
	if r.ContentLength > maxBody {
		// Many clients send all of a body before they read the answer, and see a broken connection if it is closed before that.
		if r.ContentLength <= maxIgnored && r.Header.Get("Expect") == "" {
			_, _ = io.Copy(io.Discard, r.Body)
		}
		return nil, errTooLarge
	}
	// The length is a claim of the client: believed for a first buffer of modest size.
	body := make([]byte, 0, min(max(r.ContentLength, 0), firstBuffer)+1)
	rest := io.LimitReader(r.Body, maxBody+1)
	for {
		n, err := rest.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case len(body) > maxBody:
			return nil, errTooLarge
		case err == io.EOF:
			_ = conn.SetReadDeadline(time.Time{})
			return body, nil
		case err != nil:
			return nil, &rialto.Error{Kind: rialto.Invalid, Code: "SerializationException", Message: "The request body could not be read.", Cause: err}
		}
		if len(body) == cap(body) {
			body = append(body, 0)[:len(body)]
		}
	}
}

var errTooLarge = rialto.WithCode(rialto.Invalid, "RequestEntityTooLargeException", "The request is larger than %d bytes.", maxBody)

// unknownService stands for the service of a request that names none that is served.
var unknownService = &Service{model: &Model{JSONVersion: "1.0"}}

// route finds the service, the operation and the protocol of a request. Older SDKs and newer ones, for any service, come to the
// same port; what tells them apart is, in this order, the target header, a form's action, and method and path.
func (h *Handler) route(in *incoming, to *route) error {
	if target := in.Header.Get("X-Amz-Target"); target != "" {
		prefix, operation, _ := strings.Cut(target, ".")
		for _, s := range h.services {
			if s.model.TargetPrefix == prefix && prefix != "" {
				*to = route{s, operation, http.StatusOK, jsonProtocol{}}
				return nil
			}
		}
		return rialto.WithCode(rialto.Invalid, unknownOperation, "rialto does not serve the target %s.", target)
	}
	values, err := in.form()
	if err != nil {
		return err
	}
	if action := values.Get("Action"); action != "" {
		in.values = values
		to.protocol = queryProtocol{json: acceptsJSON(in.Header.Get("Accept"))}
		if s := h.queryService(in.credential.Service, values.Get("Version"), action); s != nil {
			to.service, to.operation, to.status = s, action, http.StatusOK
			return nil
		}
		return rialto.WithCode(rialto.Invalid, unknownOperation, "The action %s is not valid for this endpoint.", action)
	}
	if r, ok := h.restRoute(in); ok {
		*to = r
		return nil
	}
	if signed := in.credential.Service; signed != "" {
		for _, s := range h.services {
			if s.model.Name == signed && s.model.Routes != nil {
				to.service, to.protocol = s, restProtocol{}
				return rialto.WithCode(rialto.Invalid, unknownOperation, "%s has no operation %s %s.", signed, in.Method, in.URL.EscapedPath())
			}
		}
		return rialto.WithCode(rialto.Invalid, unknownOperation, "The request to %s names no operation: neither the header X-Amz-Target nor the parameter Action is there.", signed)
	}
	return rialto.WithCode(rialto.Invalid, unknownOperation, "This is not a request of an AWS API: neither the header X-Amz-Target nor the parameter Action nor a signature is there.")
}

// form is the parameters of a query request: those of the URL and, of a POST, those of the body.
func (in *incoming) form() (url.Values, error) {
	values, err := url.ParseQuery(in.URL.RawQuery)
	if err != nil {
		return nil, errMalformedForm(err)
	}
	contentType := in.Header.Get("Content-Type")
	if kind, _, _ := mime.ParseMediaType(contentType); kind != "application/x-www-form-urlencoded" && contentType != "" {
		return values, nil
	}
	body, err := url.ParseQuery(string(in.body))
	if err != nil && contentType != "" {
		return nil, errMalformedForm(err)
	}
	maps.Copy(values, body)
	return values, nil
}

func errMalformedForm(err error) error {
	return &rialto.Error{Kind: rialto.Invalid, Code: "MalformedQueryString", Message: "The parameters of the request could not be parsed: " + err.Error(), Cause: err}
}

// acceptsJSON reports whether a header Accept names JSON, and not as one of several.
func acceptsJSON(accept string) bool {
	kind, _, err := mime.ParseMediaType(accept)
	return err == nil && kind == "application/json"
}

// queryService finds who serves an action: the service that the request was signed for, else the one whose version it names,
// else the only one that has it.
func (h *Handler) queryService(signed, version, action string) *Service {
	var found *Service
	for _, s := range h.services {
		m := s.model
		switch {
		case m.Version == "":
		case m.Name == signed:
			return s
		case m.Version == version:
			found = s
		case version == "" && found == nil && s.has(action):
			found = s
		}
	}
	return found
}

func (h *Handler) baseURL(r *http.Request) string {
	if h.public != "" {
		return h.public
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// trouble is the level of a line about a request that could not be served for now, such as while the disk is full. All of them fail
// then, and the log may be on that disk: one line a second is an error, and the rest are for those who look closely.
func (h *Handler) trouble() slog.Level {
	now := h.clock.Now().Unix()
	if last := h.troubled.Load(); last != now && h.troubled.CompareAndSwap(last, now) {
		return slog.LevelError
	}
	return slog.LevelDebug
}

func (h *Handler) record(ctx context.Context, req *Request, to route, a answer, err error) {
	level := slog.LevelDebug
	switch {
	case err != nil && ctx.Err() != nil:
		level = slog.LevelInfo // the caller has gone, so whatever failed may have failed because of that
	case err != nil && rialto.KindOf(err) == rialto.Unavailable:
		level = h.trouble()
	case a.status >= http.StatusInternalServerError:
		level = slog.LevelError
	case err != nil:
		level = slog.LevelInfo
	}
	if !h.log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("request", req.ID),
		slog.String("service", req.Service),
		slog.String("operation", req.Operation),
		slog.String("protocol", to.protocol.name()),
		slog.String("account", string(req.Scope.Account)),
		slog.String("region", string(req.Scope.Region)),
		slog.Int("status", a.status),
		slog.Int("bytes", len(a.body)),
		slog.Duration("took", a.took),
	}
	if err != nil {
		attrs = append(attrs, slog.String("code", a.code))
	}
	if level == slog.LevelError {
		attrs = append(attrs, slog.Any("err", err))
	}
	h.log.LogAttrs(ctx, level, "request answered", attrs...)
}
