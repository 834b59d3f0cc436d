package console

import (
	"context"
	"net/http"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/connections"
	targetshttp "github.com/rialto-events/rialto/internal/targets/http"
)

// A Connector knows of connections what AWS's API has no words for.
type Connector interface {
	List(scope rialto.Scope) []connections.Summary
	Test(ctx context.Context, scope rialto.Scope, name string, t connections.Trial) (*targetshttp.Report, error)
	TLS(scope rialto.Scope, name string) (*connections.TLS, error)
	SetTLS(ctx context.Context, scope rialto.Scope, name string, material catalog.TLSMaterial) (*connections.TLS, error)
	RemoveTLS(ctx context.Context, scope rialto.Scope, name string) error
}

// Connections is the part that gives connections their certificates, and tries them.
func Connections(c Connector) Part {
	p := connector{c}
	return Part{
		{"GET", "/_rialto/v1/connections", p.list},
		{"POST", "/_rialto/v1/connections/{name}/test", p.test},
		{"GET", "/_rialto/v1/connections/{name}/tls", p.show},
		{"PUT", "/_rialto/v1/connections/{name}/tls", p.set},
		{"DELETE", "/_rialto/v1/connections/{name}/tls", p.remove},
	}
}

type connector struct{ Connector }

func (c connector) list(w http.ResponseWriter, r *Request) error {
	return Answer(w, map[string]any{"connections": c.List(r.Scope)})
}

// test answers with a report also if the call fails: that it does is what was asked.
func (c connector) test(w http.ResponseWriter, r *Request) error {
	var t connections.Trial
	if len(r.Body) > 0 {
		if err := r.Decode(&t); err != nil {
			return err
		}
	}
	report, err := c.Test(r.Context(), r.Scope, r.PathValue("name"), t)
	if err != nil {
		return err
	}
	return Answer(w, report)
}

func (c connector) show(w http.ResponseWriter, r *Request) error {
	t, err := c.TLS(r.Scope, r.PathValue("name"))
	if err != nil {
		return err
	}
	return Answer(w, t)
}

func (c connector) set(w http.ResponseWriter, r *Request) error {
	var material catalog.TLSMaterial
	if err := r.Decode(&material); err != nil {
		return err
	}
	t, err := c.SetTLS(r.Context(), r.Scope, r.PathValue("name"), material)
	if err != nil {
		return err
	}
	return Answer(w, t)
}

func (c connector) remove(w http.ResponseWriter, r *Request) error {
	if err := c.RemoveTLS(r.Context(), r.Scope, r.PathValue("name")); err != nil {
		return err
	}
	return Answer(w, struct{}{})
}
