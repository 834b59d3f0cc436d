// Package targettest proves that a kind of target behaves as package target asks of a Sender.
//
// A kind gives the suite a [Subject]: its Sender, a destination that works, and destinations that misbehave in those ways that
// the kind knows. A new kind is done when [Run] says so.
//
//	func TestSender(t *testing.T) {
//		targettest.Run(t, func(t *testing.T) targettest.Subject { … })
//	}
package targettest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rialto-events/rialto/target"
)

// A Subject is a Sender under test, with destinations of its kind.
type Subject struct {
	Sender   target.Sender
	Works    *target.Definition          // of a destination that takes everything
	Received func() [][]byte             // what that destination has taken, in any order; whatever a Send without an error brought is in it
	Faults   map[Fault]Misbehaved        // destinations that do not; leave out what cannot happen to the kind
	Prepare  func(m *target.Message)     // if not nil, completes messages with what the kind needs beside the payload
	MaxBytes int                         // the largest payload that the kind takes; 0 if it takes 256 KiB
	Equal    func(sent, got []byte) bool // if not nil, compares payloads for kinds that rewrite them, such as event buses
	Partly   *target.Definition          // of a destination that takes of a batch all but what [Refused] knows; nil if the kind cannot tell them apart
}

// Refused reports whether a destination that takes batches in part is to refuse a payload.
func Refused(payload []byte) bool { return bytes.Contains(payload, []byte(`"refuse":true`)) }

// A Misbehaved destination is a definition of one, or of several of which each misbehaves in its own way.
type Misbehaved []*target.Definition

// A Fault is a way in which destinations misbehave.
type Fault string

const (
	Hangs   Fault = "hangs"         // takes the message and never answers
	Endless Fault = "never stops"   // answers without an end
	Cuts    Fault = "cuts off"      // goes away in the middle
	Garbage Fault = "talks rubbish" // answers with nonsense
	Down    Fault = "is down"       // is there, and cannot take the message now
	Gone    Fault = "is gone"       // is not there, or will never take the message
)

const (
	grace       = 3 * time.Second        // in which Send must return after its context has ended
	patience    = 200 * time.Millisecond // of the context that is given to hostile destinations
	maxMemory   = 16 << 20               // bytes that a hostile destination may cost
	giveUpAfter = 30 * time.Second       // after which a test gives up
)

var errStuck = errors.New("Send does not return, neither by itself nor soon after the end of its context")

type part struct {
	name string
	run  func(t *testing.T, s Subject)
}

// Run runs the suite. A Sender that is a [target.Batcher] is held to that, too. Run calls start for each part, so that none disturbs another.
func Run(t *testing.T, start func(t *testing.T) Subject) {
	parts := []part{
		{"payloads arrive unchanged", arrivesUnchanged},
		{"many at once", manyAtOnce},
		{"a context that has ended", endedContext},
		{"hostile destinations cost little", hostile},
		{"errors say whether to try again", verdicts},
	}
	for _, p := range parts {
		t.Run(p.name, func(t *testing.T) { p.run(t, start(t)) })
	}
	t.Run("batches", func(t *testing.T) {
		s := start(t)
		if _, ok := s.Sender.(target.Batcher); !ok {
			t.Skip("the kind takes one message at a time")
		}
		for _, p := range batchParts {
			t.Run(p.name, func(t *testing.T) { p.run(t, start(t)) })
		}
	})
}

// arrivesUnchanged sends payloads of every sort that transforms make.
func arrivesUnchanged(t *testing.T, s Subject) {
	most := s.MaxBytes
	if most == 0 {
		most = 256 << 10
	}
	payloads := []string{
		`{"id":"1","detail":{"total":42.50}}`,
		`"a text with \"quotes\" and é and 😀"`,
		"\"line one\"\n\"line two\"",
		`{ "spaces" :  "stay" , "<tags>" : "&amp;" }`,
		`null`,
		`[]`,
		`"` + strings.Repeat("x", most-2) + `"`,
	}
	for _, payload := range payloads {
		m := s.message(s.Works, payload)
		event, sent := bytes.Clone(m.Event), bytes.Clone(m.Payload)
		if err := s.send(t, t.Context(), m); err != nil {
			t.Errorf("send %.60s: %v", payload, err)
			continue
		}
		if !bytes.Equal(m.Event, event) || !bytes.Equal(m.Payload, sent) {
			t.Errorf("send %.60s: the message was changed", payload)
		}
		if !s.arrived(payload) {
			t.Errorf("%.60s did not arrive as it was sent", payload)
		}
	}
	if got := len(s.Received()); got != len(payloads) {
		t.Errorf("%d messages arrived, %d were sent", got, len(payloads))
	}
}

// manyAtOnce sends from several goroutines; with -race it is most of the proof that a Sender is safe for concurrent use.
func manyAtOnce(t *testing.T, s Subject) {
	const senders, each = 8, 25
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			for j := range each {
				payload := fmt.Sprintf(`{"sender":%d,"message":%d}`, i, j)
				if err := s.send(t, t.Context(), s.message(s.Works, payload)); err != nil {
					t.Errorf("send %s: %v", payload, err)
				}
			}
		})
	}
	wg.Wait()
	received := s.Received()
	if got := len(received); got != senders*each {
		t.Errorf("%d messages arrived, %d were sent", got, senders*each)
	}
	for i := range senders {
		for j := range each {
			if payload := fmt.Sprintf(`{"sender":%d,"message":%d}`, i, j); !s.isAmong(received, payload) {
				t.Errorf("%s did not arrive", payload)
			}
		}
	}
}

// endedContext sends with a context that has ended already: whatever a Sender makes of it, it must not be a permanent error.
func endedContext(t *testing.T, s Subject) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.send(t, ctx, s.message(s.Works, `{}`)); target.Permanent(err) {
		t.Errorf("the end of the context became a permanent error: %v", err)
	}
	if err := s.send(t, t.Context(), s.message(s.Works, `{"after":true}`)); err != nil {
		t.Errorf("the next message suffered: %v", err)
	}
}

// hostile sends to destinations that do their worst. They may cost no more than the context allows, and none of the memory that
// they would like.
func hostile(t *testing.T, s Subject) {
	for _, f := range []Fault{Hangs, Endless, Cuts, Garbage} {
		for _, d := range s.Faults[f] {
			before := allocated()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			err := s.send(t, ctx, s.message(d, `{}`))
			cancel()
			if cost := allocated() - before; cost > maxMemory {
				t.Errorf("a destination that %s cost %d bytes", f, cost)
			}
			if err == nil && f != Endless { // whose status may have said it all
				t.Errorf("a destination that %s has taken the message", f)
			}
			if target.Permanent(err) {
				t.Errorf("a destination that %s ended the message for good: %v", f, err)
			}
		}
	}
	if err := s.send(t, t.Context(), s.message(s.Works, `{"after":true}`)); err != nil {
		t.Errorf("a good destination suffered: %v", err)
	}
}

// verdicts sends to destinations that fail, and looks at what the errors say.
func verdicts(t *testing.T, s Subject) {
	for _, f := range []Fault{Down, Gone} {
		for _, d := range s.Faults[f] {
			err := s.send(t, t.Context(), s.message(d, `{}`))
			if err == nil {
				t.Errorf("a destination that %s has taken the message", f)
				continue
			}
			if got, want := target.Permanent(err), f == Gone; got != want {
				t.Errorf("a destination that %s: permanent is %t: %v", f, got, err)
			}
			if !worded(err) {
				t.Errorf("a destination that %s: the error has no code and message for a dead letter: %#v", f, err)
			}
		}
	}
}

func (s Subject) message(d *target.Definition, payload string) *target.Message {
	m := &target.Message{
		Definition: d,
		EventID:    "6b1f0f0e-3d52-9a4c-77aa-0e9d3b1c2f10",
		Event: []byte(`{"version":"0","id":"6b1f0f0e-3d52-9a4c-77aa-0e9d3b1c2f10","detail-type":"paid","source":"shop",` +
			`"account":"000000000000","time":"2026-03-01T10:00:05Z","region":"us-east-1","resources":[],"detail":{"orderId":"o-17"}}`),
		Payload:  []byte(payload),
		Accepted: time.Now(),
		Attempt:  1,
	}
	if s.Prepare != nil {
		s.Prepare(m)
	}
	return m
}

// send sends, and fails the test if that takes longer than the context allows.
func (s Subject) send(t *testing.T, ctx context.Context, m *target.Message) error {
	t.Helper()
	return bounded(t, ctx, errStuck, func() error { return s.Sender.Send(ctx, m) })
}

// bounded calls f, and fails the test if that takes longer than the context allows; then it returns stuck.
func bounded[T any](t *testing.T, ctx context.Context, stuck T, f func() T) T {
	t.Helper()
	done := make(chan T, 1)
	go func() { done <- f() }()
	giveUp := time.NewTimer(giveUpAfter)
	defer giveUp.Stop()
	select {
	case v := <-done:
		return v
	case <-giveUp.C:
	case <-ctx.Done():
		giveUp.Reset(grace)
		select {
		case v := <-done:
			return v
		case <-giveUp.C:
		}
	}
	t.Error(errStuck)
	return stuck
}

func (s Subject) arrived(payload string) bool { return s.isAmong(s.Received(), payload) }

func (s Subject) isAmong(received [][]byte, payload string) bool {
	equal := s.Equal
	if equal == nil {
		equal = bytes.Equal
	}
	return slices.ContainsFunc(received, func(got []byte) bool { return equal([]byte(payload), got) })
}

// allocated is how many bytes the process has allocated since it began.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}
