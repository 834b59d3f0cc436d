package aws

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto"
)

// A Refusal is the error of an operation as the clients of its service see it.
type Refusal struct {
	Status  int
	Code    string // as its oldest clients know it, such as "AWS.SimpleQueueService.NonExistentQueue"
	Message string
	Cause   error // for the log alone
}

func (r *Refusal) Error() string { return r.Code + ": " + r.Message }
func (r *Refusal) Unwrap() error { return r.Cause }

// Serves reports whether a service is served, by its name in the credential scope, such as "events".
func (h *Handler) Serves(service string) bool { return h.named(service) != nil }

func (h *Handler) named(service string) *Service {
	for _, s := range h.services {
		if s.model.Name == service {
			return s
		}
	}
	return nil
}

// Direct calls an operation from within the server. The request names service, operation, scope and who calls; its id is made here. The
// input is the JSON that an SDK takes, whatever protocol the service speaks: members begin with a capital letter, bytes are text, and
// times may be written by ISO 8601. It is checked as that of any other caller; what the operation answers is dropped. An error is a
// [*Refusal].
func (h *Handler) Direct(ctx context.Context, req *Request, input []byte) error {
	start := h.clock.Now()
	req.ID = uuid.NewString()
	if h.public != "" {
		req.BaseURL = h.public
	}
	to := route{service: unknownService, operation: req.Operation, protocol: jsonProtocol{}}
	err := h.direct(ctx, req, input, &to)
	a := answer{status: http.StatusOK, took: h.clock.Now().Sub(start)}
	var refusal error
	if err != nil {
		r := refusalOf(to.service.model, err)
		a.status, a.code, refusal = r.Status, r.Code, r
	}
	h.record(ctx, req, to, a, err)
	return refusal
}

// direct finds the operation and calls it.
func (h *Handler) direct(ctx context.Context, req *Request, input []byte, to *route) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	s := h.named(req.Service)
	if s == nil {
		return rialto.WithCode(rialto.Invalid, unknownOperation, "rialto does not serve the service %s.", req.Service)
	}
	to.service = s
	op, err := s.find(req.Operation)
	if err != nil {
		return err
	}
	if len(input) > maxBody {
		return errTooLarge
	}
	_, err = op.call(WithCaller(ctx, req), newSDKDecoder(input))
	return err
}

// refusalOf is an error as those see it who know the service longest: AWS's own services call by those names what they are told.
func refusalOf(m *Model, err error) *Refusal {
	f := failureOf(m, err)
	r := &Refusal{Status: f.status, Code: f.code, Message: f.message, Cause: err}
	if m.Version != "" {
		r.Status, r.Code = f.queryStatus, f.queryCode
	}
	return r
}
