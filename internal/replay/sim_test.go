package replay

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/history"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/internal/shard/shardtest"
)

// simEvents is how many events the archive of a simulation has.
const simEvents = 40

var simScope = rialto.Scope{Account: "000000000000", Region: "eu-west-1"}

// A simWorld carries replays out as a runner does: it knows of a replay what the machine has told of it, and nothing else.
type simWorld struct {
	machine *Machine
	taken   *shardtest.Taken   // events, by replay
	known   map[string]*Replay // as the effects of the present process say
	sure    map[string]*Replay // as answered, by any process
	starts  int
}

func newSimWorld() shardtest.World { return &simWorld{sure: make(map[string]*Replay)} }

func (w *simWorld) Start() []shard.Hosted {
	w.machine, w.taken, w.known = newMachine(), shardtest.NewTaken(), make(map[string]*Replay)
	known := w.known
	return []shard.Hosted{{Machine: w.machine, Handler: func(effects []any) {
		for _, e := range effects {
			switch e := e.(type) {
			case *Replay:
				known[e.key()] = e
			case gone:
				delete(known, string(e))
			}
		}
	}}, {Machine: w.taken}}
}

func (w *simWorld) Step(r *rand.Rand, s *shard.Stepper, now time.Time) error {
	for key, is := range w.known {
		if m := w.machine.replays[key]; m == nil || m.Revision != is.Revision {
			return fmt.Errorf("the effects say that %s has revision %d, the machine has %v", key, is.Revision, m)
		}
	}
	var active []*Replay
	for _, key := range slices.Sorted(maps.Keys(w.known)) {
		if is := w.known[key]; is.State.Active() {
			active = append(active, is)
		}
	}
	if len(active) == 0 || len(active) < 3 && r.IntN(10) == 0 {
		w.starts++
		spec := Spec{Scope: simScope, Name: fmt.Sprintf("r%d", r.IntN(w.starts)), Bus: "orders"}
		body, err := json.Marshal(&Replay{Spec: spec})
		if err != nil {
			return err
		}
		return w.commit(s, now, spec.key(), kindStart, body, nil)
	}
	is := active[r.IntN(len(active))]
	switch n := r.IntN(20); {
	case is.State == Cancelling:
		return w.commit(s, now, is.key(), kindEnd, endCommand(is.key(), Cancelled, ""), nil)
	case n == 0:
		return w.commit(s, now, is.key(), kindControl, controlCommand(is.key(), controlCancel, Speed{}), nil)
	case n < 3:
		return w.commit(s, now, is.key(), kindControl, controlCommand(is.key(), byte(r.IntN(2)), Speed{}), nil)
	case n < 4:
		return w.commit(s, now, is.key(), kindControl, controlCommand(is.key(), controlSpeed, Speed{PerSecond: float64(r.IntN(9))}), nil)
	case is.Paused:
		return nil
	}
	return w.put(r, s, now, is)
}

// put puts the next few events, some of which no rule wants.
func (w *simWorld) put(r *rand.Rand, s *shard.Stepper, now time.Time, is *Replay) error {
	p := progress{position: is.Position, last: is.Last}
	var bodies [][]byte
	for range 1 + r.IntN(6) {
		n := p.position.Key + 1
		if n > simEvents {
			p.done = true
			break
		}
		p.position, p.last = history.Position{Key: n}, time.Unix(int64(n), 0).UTC()
		p.read++
		if wanted(n) {
			p.put, p.delivered = p.put+1, p.delivered+2
			bodies = append(bodies, shardtest.Take(lifeOf(is), int64(n)))
		}
	}
	return w.commit(s, now, is.key(), kindProgress, p.command(is.key()), bodies)
}

// lifeOf names a replay among all that had its name.
func lifeOf(r *Replay) string { return fmt.Sprint(r.key(), "@", r.Started.Unix()) }

func wanted(n uint64) bool { return n%5 != 0 }

func (w *simWorld) commit(s *shard.Stepper, now time.Time, key string, kind shard.Kind, body []byte, taken [][]byte) error {
	if kind == kindStart { // each life of a name is another one
		var is Replay
		if err := json.Unmarshal(body, &is); err != nil {
			return err
		}
		is.Started = time.Unix(int64(w.starts), 0).UTC()
		body, _ = json.Marshal(&is)
	}
	answers, err := s.Commit(now, func(b *shard.Batch) {
		for _, t := range taken {
			b.Add(shardtest.KindTake, t)
		}
		b.Add(kind, body)
	})
	if err != nil {
		return err
	}
	switch answer := answers[0][len(taken)].(type) {
	case *Replay:
		w.sure[key] = answer
	case error:
		if rialto.KindOf(answer) != rialto.Exists && !errors.Is(answer, errOver) {
			return answer
		}
		if kind == kindProgress {
			return fmt.Errorf("events of %s were put after its end", key)
		}
	}
	return w.check()
}

// check holds what was taken against how far each replay says that it is.
func (w *simWorld) check() error {
	for key, is := range w.machine.replays {
		got := w.taken.By(lifeOf(is))
		var want []int64
		for n := uint64(1); n <= is.Position.Key; n++ {
			if wanted(n) {
				want = append(want, int64(n))
			}
		}
		if !slices.Equal(got, want) || is.Read != int64(is.Position.Key) || is.Put != int64(len(want)) || is.Delivered != 2*is.Put {
			return fmt.Errorf("%s is at %d, with %d read and %d put, and %v were taken", key, is.Position.Key, is.Read, is.Put, got)
		}
		if is.State == Completed && is.Position.Key != simEvents {
			return fmt.Errorf("%s is completed at %d", key, is.Position.Key)
		}
	}
	return nil
}

func (w *simWorld) Check(_ *shard.Stepper, now time.Time) error {
	for key, is := range w.sure {
		m := w.machine.replays[key]
		if m == nil && (is.State.Active() || now.Sub(is.Ended) < keep) {
			return fmt.Errorf("%s is forgotten", key)
		}
		if m != nil && m.Started.Equal(is.Started) && m.Revision < is.Revision {
			return fmt.Errorf("%s has revision %d, and %d was answered", key, m.Revision, is.Revision)
		}
	}
	return w.check()
}

func TestSimulation(t *testing.T) { shardtest.Simulate(t, 3_000, newSimWorld) }
