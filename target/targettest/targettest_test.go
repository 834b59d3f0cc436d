package targettest_test

import (
	"bytes"
	"context"
	"sync"
	"testing"

	"github.com/rialto-events/rialto/target"
	"github.com/rialto-events/rialto/target/targettest"
)

// memory is the smallest Sender that passes: it keeps what it gets, and its destinations are words.
type memory struct {
	mu   sync.Mutex
	took [][]byte
}

func (s *memory) Send(ctx context.Context, m *target.Message) error {
	switch m.Definition.ARN {
	case "hangs":
		<-ctx.Done()
		return ctx.Err()
	case "down":
		return &target.Error{Code: target.CodeThrottling, Message: "Too much at once."}
	case "gone":
		return &target.Error{Code: target.CodeNoResource, Message: "There is no such thing.", Permanent: true}
	}
	if m.Definition.ARN == "partly" && targettest.Refused(m.Payload) {
		return &target.Error{Code: target.CodeErrorFromTarget, Message: "This one is not wanted."}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.took = append(s.took, bytes.Clone(m.Payload))
	return nil
}

func (s *memory) SendBatch(ctx context.Context, ms []*target.Message) []error {
	errs := make([]error, len(ms))
	for i, m := range ms {
		errs[i] = s.Send(ctx, m)
	}
	return errs
}

func (s *memory) Most(*target.Definition) (messages, bytes int) { return 5, 0 }

func (s *memory) received() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.took
}

func TestTheSmallestSender(t *testing.T) {
	targettest.Run(t, func(*testing.T) targettest.Subject {
		s := new(memory)
		return targettest.Subject{
			Sender:   s,
			Works:    &target.Definition{ARN: "works"},
			Received: s.received,
			Partly:   &target.Definition{ARN: "partly"},
			Faults: map[targettest.Fault]targettest.Misbehaved{
				targettest.Hangs: {{ARN: "hangs"}},
				targettest.Down:  {{ARN: "down"}},
				targettest.Gone:  {{ARN: "gone"}},
			},
		}
	})
}
