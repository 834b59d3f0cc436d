package circuits_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/circuits"
	"github.com/rialto-events/rialto/internal/deliver"
)

var scope = rialto.Scope{Account: "000000000000", Region: "eu-west-1"}

// A bus takes what it is told, unless it is closed.
type bus struct {
	mu     sync.Mutex
	closed error
	asked  int
	told   []string
}

func (b *bus) Announce(_ context.Context, s rialto.Scope, detailType string, detail any) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
	if b.closed != nil {
		return b.closed
	}
	text, err := json.Marshal(detail)
	b.told = append(b.told, string(s.Region)+" "+detailType+" "+string(text))
	return err
}

func (b *bus) close(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = err
}

// run runs a service with a bus until end is called.
func run(t *testing.T, b *bus) (s *circuits.Service, end func()) {
	t.Helper()
	s = circuits.New(circuits.Options{})
	s.AnnounceTo(b)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return s, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// TestChangesAreTold follows the changes of a circuit to the bus, in their order, through a time in which it takes nothing.
func TestChangesAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(bus)
		b.close(rialto.Errorf(rialto.Unavailable, "The journal does not answer."))
		s, end := run(t, b)
		arn := "arn:aws:sqs:eu-west-1:000000000000:billing"
		since := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
		s.CircuitChanged(&deliver.Circuit{Scope: scope, ARN: arn, State: deliver.CircuitOpen, Since: since, Reason: "Too many attempts failed.", Parked: 7})
		s.CircuitChanged(&deliver.Circuit{Scope: scope, ARN: arn, State: deliver.CircuitHalfOpen, Previous: deliver.CircuitOpen, Since: since})
		s.CircuitChanged(&deliver.Circuit{Scope: scope, ARN: arn, State: deliver.CircuitClosed, Previous: deliver.CircuitHalfOpen, Since: since, Forced: true})
		time.Sleep(1500 * time.Millisecond)
		b.close(nil)
		time.Sleep(time.Second)
		end()
		want := []string{
			`eu-west-1 Destination Circuit Opened`, `eu-west-1 Destination Circuit Half-Opened`, `eu-west-1 Destination Circuit Closed`,
		}
		if len(b.told) != len(want) {
			t.Fatalf("the bus was told %q", b.told)
		}
		for i, w := range want {
			if !strings.HasPrefix(b.told[i], w+" ") {
				t.Errorf("event %d is %s, want %s", i, b.told[i], w)
			}
		}
		if data := `"data":{"arn":"` + arn + `","state":"open","previous":"closed","forced":false,"reason":"Too many attempts failed.","parked":7,"since":"2026-03-01T10:00:00Z"}`; !strings.Contains(b.told[0], data) {
			t.Errorf("the first event is %s", b.told[0])
		}
	})
}

// TestNobodyWaitsForTheBus lets more change than can be told while the bus takes nothing, and ends then.
func TestNobodyWaitsForTheBus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(bus)
		b.close(rialto.Errorf(rialto.Unavailable, "The journal does not answer."))
		s, end := run(t, b)
		for range 100_000 {
			s.CircuitChanged(&deliver.Circuit{Scope: scope})
		}
		began := time.Now()
		end()
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("the end took %v", took)
		}
	})
}

// TestWhatTheBusRefuses is not asked for again.
func TestWhatTheBusRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(bus)
		b.close(rialto.Errorf(rialto.Invalid, "No."))
		s, end := run(t, b)
		s.CircuitChanged(&deliver.Circuit{Scope: scope})
		time.Sleep(time.Minute)
		end()
		if b.asked != 1 {
			t.Errorf("the bus was asked %d times", b.asked)
		}
	})
}
