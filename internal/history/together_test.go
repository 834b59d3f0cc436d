package history

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/target"
)

// A process is shards, a Deliverer and a Service that run on a simulated journal.
type process struct {
	*Service
	deliverer *deliver.Deliverer
	proc      *journal.SimJournal
	ends      []func() error // the last one first
}

func startProcess(t *testing.T, sim *journal.Sim, c *catalog.Catalog, shards int) *process {
	t.Helper()
	ctx := t.Context()
	p := &process{proc: sim.Open()}
	kv, err := p.proc.KV(ctx, "history")
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := p.proc.Blob(ctx, "history")
	if err != nil {
		t.Fatal(err)
	}
	if p.Service, err = Open(ctx, kv, blobs, c, Options{}); err != nil {
		t.Fatal(err)
	}
	p.deliverer = deliver.New(func(*target.Definition) target.Sender { panic("nothing is sent") }, deliver.Options{Retainer: p.Service})
	p.Attach(p.deliverer)
	snapshots, err := p.proc.Blob(ctx, "snapshots")
	if err != nil {
		t.Fatal(err)
	}
	var list []*shard.Shard
	for i := range shards {
		log, err := p.proc.Log(ctx, "shard-"+strconv.Itoa(i))
		if err != nil {
			t.Fatal(err)
		}
		s, err := shard.Open(ctx, log, snapshots, []shard.Hosted{p.deliverer.Host()}, shard.Options{})
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	p.deliverer.Attach(list)
	for _, s := range list {
		p.run(s.Run)
	}
	p.run(p.deliverer.Run)
	p.run(p.Service.Run)
	return p
}

func (p *process) run(run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	p.ends = append(p.ends, func() error { cancel(); return <-done })
}

func (p *process) stop(t *testing.T) {
	t.Helper()
	for i := len(p.ends) - 1; i >= 0; i-- {
		if err := p.ends[i](); err != nil {
			t.Errorf("a part ended with: %v", err)
		}
	}
}

// kill ends everything as kill -9 does.
func (p *process) kill() {
	p.proc.Crash()
	for i := len(p.ends) - 1; i >= 0; i-- {
		_ = p.ends[i]()
	}
}

// TestAllTogether has several callers put events for two archives on shards, while somebody reads and counts, and kills the process now and then.
// What was answered is in each archive once.
func TestAllTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := journal.NewSim(1, journal.SimFaults{})
		c := openCatalog(t, testArchive("kept", 0), testArchive("other", 0))
		targets := []*target.Sealed{archiveTarget(t, "kept"), archiveTarget(t, "other")}
		answered := make(map[string]bool)
		var mu sync.Mutex
		p := startProcess(t, sim, c, 2)
		for round := range 8 {
			var callers sync.WaitGroup
			for caller := range 4 {
				callers.Go(func() {
					for n := range 40 {
						id := fmt.Sprintf("%d-%d-%d", round, caller, n)
						now := time.Now()
						e := testEvent(n, now.Add(-time.Duration(n%7)*time.Second), now, "")
						e.EventID, e.Targets = id, targets
						e.Event = fmt.Appendf(nil, `{"id":%q,"time":%q}`, id, now.Add(-time.Duration(n%7)*time.Second).Format(time.RFC3339))
						if err := p.deliverer.Accept(t.Context(), []deliver.Accepted{*e}); err != nil {
							continue // killed
						}
						mu.Lock()
						answered[id] = true
						mu.Unlock()
						time.Sleep(time.Duration(caller+1) * 300 * time.Millisecond)
					}
				})
			}
			callers.Go(func() {
				for range 20 {
					_, _ = p.Count(t.Context(), "kept-id")
					_ = p.Flush(t.Context(), "other-id")
					_, _ = collect(p.Read(t.Context(), "other-id", Window{}, Position{}), 0)
					time.Sleep(1100 * time.Millisecond)
				}
			})
			if round%2 == 1 {
				time.Sleep(time.Duration(7+round) * time.Second)
				p.kill()
			}
			callers.Wait()
			if round%2 == 0 {
				p.stop(t)
			}
			p = startProcess(t, sim, c, 2)
			want := int64(len(answered))
			for _, id := range []string{"kept-id", "other-id"} {
				total, err := p.Count(t.Context(), id)
				if err != nil || total.Events < want {
					t.Errorf("round %d: %s has %d of the %d events that were answered, %v", round, id, total.Events, want, err)
				}
				if err := p.Flush(t.Context(), id); err != nil {
					t.Fatal(err)
				}
				list, err := collect(p.Read(t.Context(), id, Window{}, Position{}), 0)
				if err != nil || int64(len(list)) != total.Events {
					t.Errorf("round %d: %d events of %s are read, and %d are counted, %v", round, len(list), id, total.Events, err)
				}
				seen := make(map[string]bool)
				for _, e := range list {
					seen[string(idOf(e.Event))] = true
				}
				if len(seen) != len(list) {
					t.Errorf("round %d: %s has %d events, and %d are different", round, id, len(list), len(seen))
				}
				for a := range answered {
					if !seen[strconv.Quote(a)] {
						t.Errorf("round %d: %s has lost %s", round, id, a)
					}
				}
			}
		}
		time.Sleep(time.Minute)
		if left, err := p.deliverer.WaitingEvents(t.Context()); err != nil || len(left) > 0 {
			t.Errorf("%d events are still in the log, %v", len(left), err)
		}
		p.stop(t)
	})
}

func archiveTarget(t *testing.T, name string) *target.Sealed {
	t.Helper()
	a := testArchive(name, 0)
	rule := catalog.Rule{Name: a.RuleName(), Bus: a.Bus}
	aim := a.Target(testScope)
	s, err := target.Seal(rule.Definition(testScope, &aim))
	if err != nil {
		t.Fatal(err)
	}
	return s
}
