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
	s.mu.Lock()
	defer s.mu.Unlock()
	s.took = append(s.took, bytes.Clone(m.Payload))
	return nil
}

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
			Faults: map[targettest.Fault]targettest.Misbehaved{
				targettest.Hangs: {{ARN: "hangs"}},
				targettest.Down:  {{ARN: "down"}},
				targettest.Gone:  {{ARN: "gone"}},
			},
		}
	})
}
