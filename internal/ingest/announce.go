package ingest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/rialto-events/rialto"
)

// Own is the source of the events by which rialto tells of itself, such as the changes of a circuit.
const Own = "rialto"

// Announce puts an event of rialto's own onto the default bus of a scope, like any other event: rules match it, and it is committed
// when Announce returns.
func (in *Ingester) Announce(ctx context.Context, scope rialto.Scope, detailType string, detail any) error {
	return in.AnnounceAs(ctx, Own, scope, detailType, detail)
}

// AnnounceAs is Announce for events of a source that nobody can put events of, such as "aws.events", about resources.
func (in *Ingester) AnnounceAs(ctx context.Context, source string, scope rialto.Scope, detailType string, detail any, resources ...string) error {
	var text strings.Builder
	plain := json.NewEncoder(&text)
	plain.SetEscapeHTML(false)
	if err := plain.Encode(detail); err != nil {
		return fmt.Errorf("announce %q: %w", detailType, err)
	}
	entry := Entry{Source: &source, DetailType: &detailType, Detail: new(text.String()), Resources: resources}
	results, err := in.put(ctx, Caller{Scope: scope}, []Entry{entry}, anySource)
	if err != nil {
		return fmt.Errorf("announce %q: %w", detailType, err)
	}
	if r := results[0]; r.Code != "" {
		return fmt.Errorf("announce %q: %s: %s", detailType, r.Code, r.Message)
	}
	return nil
}
