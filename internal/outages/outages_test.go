package outages_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/internal/outages"
	"github.com/rialto-events/rialto/internal/replay"
	"github.com/rialto-events/rialto/target"
)

var scope = rialto.Scope{Account: "000000000000", Region: "eu-west-1"}

const arn = "arn:aws:sqs:eu-west-1:000000000000:billing"

// A fakeReplayer knows the archives "all", of the default bus, and "other", of another one.
type fakeReplayer struct {
	mu      sync.Mutex
	started map[string]replay.Spec // by name
	asked   int
	refuses error
}

func (f *fakeReplayer) Archive(_ rialto.Scope, name string) (*catalog.Archive, error) {
	switch name {
	case "all":
		return &catalog.Archive{Name: name, Bus: rialto.DefaultBus}, nil
	case "other":
		return &catalog.Archive{Name: name, Bus: "orders"}, nil
	}
	return nil, rialto.Errorf(rialto.NotFound, "Archive %s does not exist.", name)
}

func (f *fakeReplayer) Start(_ context.Context, spec replay.Spec) (replay.Replay, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	if f.refuses != nil {
		return replay.Replay{}, f.refuses
	}
	if _, ok := f.started[spec.Name]; ok {
		return replay.Replay{}, rialto.Errorf(rialto.Exists, "Replay %s already exists.", spec.Name)
	}
	f.started[spec.Name] = spec
	return replay.Replay{Spec: spec}, nil
}

func (f *fakeReplayer) refuse(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuses = err
}

// list tells what was started: the rule and the target, and the minutes since the start of the bubble.
func (f *fakeReplayer) list(since time.Time) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []string
	for _, s := range f.started {
		list = append(list, fmt.Sprintf("%s %s %v-%v", s.Rules[0][strings.LastIndex(s.Rules[0], "/")+1:], s.Target, s.Since.Sub(since).Minutes(), s.Until.Sub(since).Minutes()))
	}
	return strings.Join(list, ", ")
}

// A process is one life of a Service, on a journal that outlives it.
type process struct {
	*outages.Service
	catalog *catalog.Catalog
	end     func()
}

func start(t *testing.T, sim *journal.Sim, f *fakeReplayer) *process {
	t.Helper()
	kv, err := sim.Open().KV(t.Context(), "catalog")
	if err != nil {
		t.Fatal(err)
	}
	c, err := catalog.Open(t.Context(), kv, catalog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Service: outages.New(outages.Options{}), catalog: c}
	p.Attach(c, f)
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { _ = c.Run(ctx) })
	group.Go(func() {
		if err := p.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	p.end = func() { cancel(); group.Wait() }
	return p
}

// rule makes a rule whose events may wait for half an hour.
func (p *process) rule(t *testing.T, name rialto.RuleName, archive string) {
	t.Helper()
	r := &catalog.Rule{Name: name, Bus: rialto.DefaultBus, Enabled: true, Targets: []catalog.Target{
		{ID: "q", ARN: arn, Retry: &catalog.RetryPolicy{MaxAge: new(int32(1800))}}, {ID: "elsewhere", ARN: arn + "-2"},
	}}
	if archive != "" {
		r.Tags = []catalog.Tag{{Key: "rialto:replay-on-close", Value: archive}}
	}
	_, err := p.catalog.Rules.Edit(t.Context(), catalog.RuleKey(scope, r.Bus, name), func(*catalog.Rule) (*catalog.Rule, error) { return r, nil })
	if err != nil {
		t.Fatal(err)
	}
}

func (p *process) circuit(state deliver.CircuitState) {
	p.CircuitChanged(&deliver.Circuit{Scope: scope, ARN: arn, State: state, Since: time.Now()})
	synctest.Wait()
}

func (p *process) wantOutages(t *testing.T, n int) {
	t.Helper()
	synctest.Wait()
	if got := len(p.catalog.Outages.List("", "", 0)); got != n {
		t.Errorf("%d outages are written down, want %d", got, n)
	}
}

// TestOutages tells what circuits do, and when a replay of what begins.
func TestOutages(t *testing.T) {
	for _, c := range []struct {
		name  string
		rules map[rialto.RuleName]string // the archive, by rule
		story func(t *testing.T, p *process, f *fakeReplayer, again func() *process)
		want  string
	}{
		{"closed within half an hour", map[rialto.RuleName]string{"paid": "all"}, func(t *testing.T, p *process, _ *fakeReplayer, _ func() *process) {
			p.circuit(deliver.CircuitOpen)
			time.Sleep(29 * time.Minute) // of the bubble
			p.circuit(deliver.CircuitClosed)
			p.wantOutages(t, 0)
		}, ""},
		{"closed after two hours", map[rialto.RuleName]string{"paid": "all", "silent": ""}, func(t *testing.T, p *process, _ *fakeReplayer, _ func() *process) {
			p.circuit(deliver.CircuitOpen)
			time.Sleep(time.Hour)
			p.circuit(deliver.CircuitHalfOpen)
			p.circuit(deliver.CircuitOpen)
			time.Sleep(time.Hour)
			p.circuit(deliver.CircuitHalfOpen)
			p.circuit(deliver.CircuitClosed)
			p.wantOutages(t, 0)
		}, "paid q 0-90"},
		{"no rule asks", map[rialto.RuleName]string{"silent": ""}, func(t *testing.T, p *process, _ *fakeReplayer, _ func() *process) {
			p.circuit(deliver.CircuitOpen)
			p.wantOutages(t, 0)
			time.Sleep(2 * time.Hour)
			p.circuit(deliver.CircuitClosed)
		}, ""},
		{"archives that do not fit", map[rialto.RuleName]string{"paid": "other", "lost": "nothing"}, func(t *testing.T, p *process, _ *fakeReplayer, _ func() *process) {
			p.circuit(deliver.CircuitOpen)
			time.Sleep(2 * time.Hour)
			p.circuit(deliver.CircuitClosed)
			p.wantOutages(t, 0)
		}, ""},
		{"too many replays at first", map[rialto.RuleName]string{"paid": "all"}, func(t *testing.T, p *process, f *fakeReplayer, _ func() *process) {
			f.refuse(rialto.Errorf(rialto.Exceeded, "The requested resource exceeds the maximum number allowed."))
			p.circuit(deliver.CircuitOpen)
			time.Sleep(2 * time.Hour)
			p.circuit(deliver.CircuitClosed)
			p.wantOutages(t, 1)
			f.refuse(nil)
			time.Sleep(time.Minute)
			p.wantOutages(t, 0)
		}, "paid q 0-90"},
		{"open over a restart", map[rialto.RuleName]string{"paid": "all"}, func(t *testing.T, p *process, _ *fakeReplayer, again func() *process) {
			p.circuit(deliver.CircuitOpen)
			time.Sleep(time.Hour)
			p = again()
			p.circuit(deliver.CircuitHalfOpen)
			p.Attempted(&deliver.Attempted{For: &target.Definition{Rule: scope.RuleARN("default", "paid"), ARN: arn}, Verdict: deliver.Verdict{Action: deliver.Done}})
			p.wantOutages(t, 1) // the circuit says itself when it is closed
			time.Sleep(time.Hour)
			p.circuit(deliver.CircuitClosed)
			p.wantOutages(t, 0)
		}, "paid q 0-90"},
		{"forgotten by a restart", map[rialto.RuleName]string{"paid": "all"}, func(t *testing.T, p *process, _ *fakeReplayer, again func() *process) {
			p.circuit(deliver.CircuitOpen)
			time.Sleep(2 * time.Hour)
			p = again()
			attempt := &deliver.Attempted{For: &target.Definition{Rule: scope.RuleARN("default", "paid"), ARN: arn}, Verdict: deliver.Verdict{Action: deliver.Again}}
			p.Attempted(attempt)
			p.wantOutages(t, 1)
			attempt.Verdict.Action = deliver.Done
			p.Attempted(attempt)
			p.Attempted(attempt)
			p.wantOutages(t, 0)
		}, "paid q 0-90"},
		{"killed before the outage is struck out", map[rialto.RuleName]string{"paid": "all"}, func(t *testing.T, p *process, f *fakeReplayer, again func() *process) {
			p.circuit(deliver.CircuitOpen)
			opened := *p.catalog.Outages.List("", "", 0)[0].Value
			time.Sleep(2 * time.Hour)
			p.circuit(deliver.CircuitClosed)
			opened.Closed = time.Now()
			_, err := p.catalog.Outages.Edit(t.Context(), catalog.OutageKey(scope, &opened), func(*catalog.Outage) (*catalog.Outage, error) { return &opened, nil })
			if err != nil {
				t.Fatal(err)
			}
			p = again()
			p.wantOutages(t, 0)
			if f.asked != 2 {
				t.Errorf("a replay was asked for %d times, want 2", f.asked)
			}
		}, "paid q 0-90"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sim, f := journal.NewSim(1, journal.SimFaults{}), &fakeReplayer{started: make(map[string]replay.Spec)}
				p := start(t, sim, f)
				for name, archive := range c.rules {
					p.rule(t, name, archive)
				}
				began := time.Now()
				c.story(t, p, f, func() *process {
					p.end()
					p = start(t, sim, f)
					return p
				})
				p.end()
				if got := f.list(began); got != c.want {
					t.Errorf("replays of %q began, want %q", got, c.want)
				}
			})
		})
	}
}
