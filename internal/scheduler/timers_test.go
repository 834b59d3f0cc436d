package scheduler

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/internal/shard/shardtest"
)

// A lineOwner has schedules that fire once, and notes what fired when.
type lineOwner struct {
	mu    sync.Mutex
	fired map[string][]time.Time // by definition
}

func (o *lineOwner) Occur(_ context.Context, is Occurrence) ([]deliver.Accepted, Due) {
	return []deliver.Accepted{{EventID: string(is.Definition), Event: is.Definition}}, Due{}
}

func (o *lineOwner) Occurred(is Occurrence, _ []deliver.Accepted) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fired[string(is.Definition)] = append(o.fired[string(is.Definition)], time.Now())
}

// An alongDeliverer commits what comes along, and drops events.
type alongDeliverer struct{ shard *shard.Shard }

func (d *alongDeliverer) Home(string) int { return 0 }

func (d *alongDeliverer) AcceptAlong(ctx context.Context, along deliver.Along, _ []deliver.Accepted) (any, error) {
	answers, err := d.shard.Insist(ctx, func(b *shard.Batch) { b.Add(along.Kind, along.Body) })
	if err != nil {
		return nil, err
	}
	return answers[0], nil
}

// TestDefinitionsAreReadAhead has schedules wait for long enough that their definitions are read before they are due. Each fires as it is then:
// changed, gone, or as it was.
func TestDefinitionsAreReadAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, o := new(alongDeliverer), &lineOwner{fired: make(map[string][]time.Time)}
		timers := New(d, Options{})
		timers.Own("line", o)
		d.shard = shardtest.Start(t, shard.Options{}, timers.Host())
		timers.Attach([]*shard.Shard{d.shard})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- timers.Run(ctx) }()

		const n = 1000
		began := time.Now()
		due := func(i int) Due {
			at := began.Add(time.Duration(30+i%3) * time.Second).UTC().Truncate(time.Second)
			return Due{Time: at, At: at}
		}
		place := func(i int) Place { return Place{Owner: "line", Home: fmt.Sprintf("s%04d", i)} }
		for i := range n {
			if _, err := timers.Create(ctx, place(i), due(i), fmt.Appendf(nil, "first %d", i)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		h := timers.hosts[0]
		if held := len(h.ahead.held); held != n || h.ahead.size == 0 {
			t.Errorf("%d definitions of %d are held ten seconds before they are due", held, n)
		}
		for i := 0; i < n; i += 10 {
			if _, err := timers.Put(ctx, place(i), due(i), fmt.Appendf(nil, "second %d", i)); err != nil {
				t.Fatal(err)
			}
			if err := timers.Delete(ctx, place(i+1)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		for i := range n {
			want := fmt.Sprintf("first %d", i)
			switch i % 10 {
			case 0:
				want = fmt.Sprintf("second %d", i)
			case 1:
				want = ""
			}
			if want == "" {
				continue
			}
			if at := o.fired[want]; len(at) != 1 || at[0].Sub(due(i).At) > time.Second || at[0].Before(due(i).At) {
				t.Errorf("%q, due at %v, fired at %v", want, due(i).At, at)
			}
		}
		if len(o.fired) != n-n/10 {
			t.Errorf("%d schedules fired, want %d", len(o.fired), n-n/10)
		}
		time.Sleep(2 * aheadEvery)
		synctest.Wait()
		if len(h.ahead.held) != 0 || h.ahead.size != 0 {
			t.Errorf("%d definitions, of %d bytes, are still held", len(h.ahead.held), h.ahead.size)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestAgenda looks at no more than so many of an agenda, and takes out what it has found, until there is nothing more by then.
func TestAgenda(t *testing.T) {
	for _, most := range []int{1, 7, 100, 143, 5000} {
		m := newMachine()
		want := make(map[string]bool)
		for i := range 1000 {
			key := fmt.Sprintf("s%04d", i)
			slot := m.entries.insert([]byte(key))
			e := m.entries.Get(slot)
			e.due = int64(i * i % 7 * 10)
			if m.agenda.add(m.entries, slot); e.at() <= 40 {
				want[key] = true
			}
		}
		got, last := make(map[string]bool), int64(0)
		for {
			var list []uint32
			next := m.due(time.Unix(40, 0), most, func(slot uint32) { list = append(list, slot) })
			if len(list) > most {
				t.Fatalf("a look has %d, and %d is the most", len(list), most)
			}
			for _, slot := range list {
				key, at := string(m.entries.keyOf(slot)), m.entries.Peek(slot).at()
				if got[key] || at < last || !next.IsZero() && at > next.Unix() {
					t.Fatalf("%d at a time: %s, due at %d, was there or comes too late; the next is at %v", most, key, at, next)
				}
				got[key], last = true, at
				m.agenda.remove(m.entries, slot)
			}
			if len(list) == 0 {
				break
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("%d at a time: %d schedules, want %d", most, len(got), len(want))
		}
	}
}

// TestAhead puts definitions in twice, takes them, and has others forgotten: nothing stays behind. They are held as they are, or packed.
func TestAhead(t *testing.T) {
	for name, n := range map[string]int{"few": 10, "many": aheadAlike} {
		t.Run(name, func(t *testing.T) {
			a := newAhead()
			a.pass(n, []byte("definition 12345, which others are like"))
			testAhead(t, a)
		})
	}
}

func testAhead(t *testing.T, a *ahead) {
	var list []waiting
	for i := range uint64(100) {
		list = append(list, waiting{revision: i + 1, at: int64(i % 3)})
	}
	for range 2 {
		for _, w := range list {
			if !a.put(w, fmt.Appendf(nil, "definition %d", w.revision)) {
				t.Fatal("there is no room")
			}
		}
	}
	a.filled()
	if missing := a.missing(append(slices.Clone(list), waiting{revision: 101})); len(missing) != 1 || missing[0].revision != 101 {
		t.Errorf("%v is missing", missing)
	}
	if n := a.heldFor(1); n != 33 {
		t.Errorf("%d are held for a second, want 33", n)
	}
	for i, w := range list {
		want := fmt.Sprintf("definition %d", w.revision)
		if got := a.take(w.revision); string(got) != want {
			t.Errorf("%d has %q, want %q", w.revision, got, want)
		}
		if i == 74 {
			select {
			case <-a.wants:
			default:
				t.Error("a quarter is left, and no more is wanted")
			}
		}
	}
	for _, w := range list {
		a.put(w, []byte("again"))
	}
	a.take(5)
	a.forget(func(at int64) bool { return at == 2 })
	for _, w := range list {
		if got := a.take(w.revision); (got != nil) != (w.at == 2 && w.revision != 5) {
			t.Errorf("%d, for the second %d, has %q", w.revision, w.at, got)
		}
	}
	if len(a.held) != 0 || len(a.seconds) != 0 || a.size != 0 {
		t.Errorf("%d definitions on %d shelves stayed, of %d bytes", len(a.held), len(a.seconds), a.size)
	}
}
