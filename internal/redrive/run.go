package redrive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/queue"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/target"
)

// A letter goes in three steps, each of them a commit, the second perhaps on another shard:
//
//	1  claim     the queue shows it to nobody any more
//	2  accept    the event is a delivery, under a key that is the message's id
//	3  decide    the message is gone; or it is visible again, and the reason is counted
//
// If the process dies before 1, nothing has happened. If it dies after 1, the next process finds the message leaving and asks who
// keeps the keys: they know this one if 2 was committed, and then 3 follows; if not, 2 comes first. The key is kept until 3 is committed
// and released then. An accept whose answer got lost while the process lives is repeated under the same key, which changes nothing
// if it was committed.

const (
	atOnce     = 100     // letters in one batch
	batchBytes = 1 << 20 // of events in one batch, unless one alone has more
	perSecond  = 10      // batches of a redrive that has a rate

	// keyMemory is how long the key of a letter is remembered at most: as long as SQS keeps any message. It is released as soon as the
	// message is gone.
	keyMemory = 14 * 24 * time.Hour
	// doubtAfter is when nobody can say any more whether the key of a letter was known: the shard of the queue and that of the event may
	// not have the same time.
	doubtAfter = keyMemory - time.Hour
)

const inDoubt = "in doubt: it may have been handed over two weeks ago, when the server ended"

// A job is a redrive that is carried out here.
type job struct {
	*Service
	at     queue.Address
	id     uuid.UUID
	to     string
	filter Filter
	poke   chan struct{} // has room for a sign that the redrive was changed

	places []queue.Place // selected, and not claimed yet
	next   time.Time     // no letter is claimed before
}

// Run carries out all redrives, those that an earlier process has left among them, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	var group sync.WaitGroup
	defer group.Wait()
	for pause := firstPause; ; {
		err := s.look(ctx, &group)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			s.opts.Logger.Warn("redrives not looked up, trying again", "err", err)
			_ = s.wait(ctx, pause, nil)
			pause = min(2*pause, maxPause)
			continue
		}
		pause = firstPause
		select {
		case <-s.queues.RedriveNews():
		case <-ctx.Done():
			return nil
		}
	}
}

// look starts the redrives that are new, and tells the others to look at themselves.
func (s *Service) look(ctx context.Context, group *sync.WaitGroup) error {
	all, err := s.queues.Redrives(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range all {
		if j, runs := s.jobs[r.ID]; runs {
			select {
			case j.poke <- struct{}{}:
			default:
			}
			continue
		}
		if r.Status.Ended() {
			continue
		}
		spec := shown(r).Spec
		j := &job{Service: s, at: r.Queue, id: r.ID, to: spec.To, filter: spec.Filter, poke: make(chan struct{}, 1)}
		s.jobs[r.ID] = j
		group.Go(func() {
			j.run(ctx)
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.jobs, r.ID)
		})
	}
	return nil
}

// wait waits for some time, or until something is said on a channel. How fast letters go is a matter of the real world, as is what is in their way.
func (s *Service) wait(ctx context.Context, d time.Duration, poke <-chan struct{}) error {
	t := rialto.Real(s.opts.Clock).NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C():
	case <-poke:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// run carries the redrive out until it has ended, whatever is in the way.
func (j *job) run(ctx context.Context) {
	for pause := firstPause; ; {
		err := j.carryOut(ctx)
		switch {
		case ctx.Err() != nil:
			return // the next process goes on
		case err == nil:
			j.logEnd(ctx)
			return
		case queue.IsMissing(err), rialto.KindOf(err) == rialto.NotFound:
			return // the queue was deleted, and the redrive with it
		case errors.Is(err, shard.ErrFenced):
			return // somebody else has the queue
		}
		j.opts.Logger.Warn("redrive held up, trying again", "queue", j.at.Name, "err", err)
		if j.wait(ctx, pause, nil) != nil {
			return
		}
		pause = min(2*pause, maxPause)
	}
}

func (j *job) logEnd(ctx context.Context) {
	r, err := j.Get(ctx, j.at, j.id)
	if err != nil {
		return // it says nothing that could not be asked for
	}
	j.opts.Logger.Info("redrive ended", "queue", j.at.Name, "status", r.Status.String(), "selected", r.Selected, "moved", r.Moved,
		"failed", r.FailedN(), "skipped", r.SkippedN())
}

// carryOut goes on with the redrive, wherever it stands. It returns nil when it has ended.
func (j *job) carryOut(ctx context.Context) error {
	if err := j.resume(ctx); err != nil {
		return err
	}
	for {
		r, err := j.queues.Redrive(ctx, j.at, j.id)
		if err != nil {
			return err
		}
		switch {
		case r.Status.Ended():
			return nil
		case r.Status == queue.RedriveSelecting:
			err = j.choose(ctx)
		case r.Paused:
			err = j.wait(ctx, time.Hour, j.poke)
		case r.Status == queue.RedriveCancelling:
			err = j.resume(ctx)
		default:
			err = j.batch(ctx, r.Rate)
		}
		if err != nil && !queue.RedriveOver(err) {
			return err
		}
	}
}

// resume learns what is selected, and ends what was begun: letters that are leaving, whoever has claimed them.
func (j *job) resume(ctx context.Context) error {
	v, err := j.queues.Survey(ctx, j.at)
	if err != nil {
		return err
	}
	j.places = j.places[:0]
	left := *v
	left.Messages = nil
	for _, m := range v.Messages {
		switch {
		case m.State == queue.StateLeaving:
			left.Messages = append(left.Messages, m)
		case m.Selected:
			j.places = append(j.places, m.Place)
		}
	}
	for len(left.Messages) > 0 {
		some := left
		some.Messages = left.Messages[:min(len(left.Messages), atOnce)]
		if err := j.handOver(ctx, &some, true); err != nil {
			return err
		}
		left.Messages = left.Messages[len(some.Messages):]
	}
	return nil
}

// choose selects the letters that fit.
func (j *job) choose(ctx context.Context) error {
	v, err := j.queues.Survey(ctx, j.at)
	if err != nil {
		return err
	}
	j.places = nil
	for i := range v.Messages {
		st := &v.Messages[i]
		if st.State != queue.StateVisible {
			continue
		}
		if !j.filter.everything() {
			m, ok, err := v.Read(ctx, st)
			if err != nil {
				return err
			}
			if !ok || !j.filter.fits(letterOf(j.at, st, &m)) {
				continue
			}
		}
		j.places = append(j.places, st.Place)
	}
	return j.queues.Mark(ctx, j.at, j.id, j.places, true)
}

// batch moves a few letters, if it is time for them.
func (j *job) batch(ctx context.Context, rate int) error {
	now := rialto.Real(j.opts.Clock).Now()
	if rate > 0 && j.next.After(now) {
		return j.wait(ctx, j.next.Sub(now), j.poke)
	}
	n := atOnce
	if rate > 0 {
		n = min(n, max(1, rate/perSecond))
	}
	if len(j.places) == 0 { // an error has left something behind
		if err := j.resume(ctx); err != nil || len(j.places) == 0 {
			return cmp.Or(err, j.wait(ctx, firstPause, j.poke))
		}
	}
	n = min(n, len(j.places))
	v, err := j.queues.Claim(ctx, j.at, j.id, j.places[:n])
	if err != nil {
		return err
	}
	j.places = j.places[n:]
	if rate > 0 {
		if late := now.Add(-time.Second / perSecond); j.next.Before(late) {
			j.next = late // what was missed long ago is not made up for
		}
		j.next = j.next.Add(time.Duration(len(v.Messages)) * time.Second / time.Duration(rate))
	}
	return j.handOver(ctx, v, false)
}

// A parcel is a letter that is leaving.
type parcel struct {
	place  queue.Place
	key    [16]byte
	event  deliver.Accepted
	reason string // why it does not leave
	failed bool   // and that is a failure
	gone   bool   // it was accepted
}

func (p *parcel) stays(failed bool, reason string) { p.failed, p.reason = failed, reason }

// handOver brings letters that were claimed to an end. again says that somebody may have tried before.
func (j *job) handOver(ctx context.Context, v *queue.Survey, again bool) error {
	parcels, err := j.pack(ctx, v)
	if err != nil {
		return err
	}
	if again {
		if err := j.recall(ctx, v, parcels); err != nil {
			return err
		}
	}
	for batch := range bundles(parcels) {
		if err := j.accept(ctx, batch); err != nil {
			return err
		}
	}
	decisions := make([]queue.Decision, len(parcels))
	for i, p := range parcels {
		decisions[i] = queue.Decision{Place: p.place, Outcome: queue.Moved}
		switch {
		case p.gone:
		case p.failed:
			decisions[i].Outcome, decisions[i].Reason = queue.Failed, p.reason
		default:
			decisions[i].Outcome, decisions[i].Reason = queue.Skipped, p.reason
		}
	}
	if err := j.queues.Decide(ctx, j.at, j.id, decisions); err != nil {
		return err
	}
	j.release(ctx, parcels)
	return nil
}

// pack reads letters and finds where each of them goes.
func (j *job) pack(ctx context.Context, v *queue.Survey) ([]*parcel, error) {
	all := &ways{
		catalog: j.catalog, topics: j.opts.Subscriptions, schedules: j.opts.Schedules, from: j.at, to: j.to, known: make(map[wayKey]way),
	}
	now := j.opts.Clock.Now().UTC()
	list := make([]*parcel, len(v.Messages))
	for i := range v.Messages {
		st := &v.Messages[i]
		p := &parcel{place: st.Place}
		list[i] = p
		m, ok, err := v.Read(ctx, st)
		switch {
		case err != nil:
			return nil, err
		case !ok:
			p.stays(true, "the message cannot be found")
			continue
		case m.Origin == nil:
			p.stays(false, noLetter)
			continue
		case m.Origin.EventID == "" || len(m.Origin.Event) == 0:
			p.stays(true, "the letter does not say which event it was")
			continue
		}
		p.key = keyOf(m.ID)
		w, err := all.of(ctx, m.Origin)
		if err != nil {
			return nil, fmt.Errorf("find where a dead letter goes: %w", err)
		}
		if p.reason = w.reason; w.target != nil {
			p.event = j.eventOf(m.Origin, p.key, w, now)
		}
	}
	return list, nil
}

// eventOf is the event of a letter as a new delivery.
func (j *job) eventOf(o *target.Origin, key [16]byte, to way, now time.Time) deliver.Accepted {
	e := deliver.Accepted{
		EventID: o.EventID, Event: o.Event, Bus: o.Bus, Accepted: o.Accepted, Trace: o.Trace, Hops: o.Hops, Targets: []*target.Sealed{to.target},
		Home: j.home(), Dedupe: deliver.Dedupe{Key: key, Window: keyMemory}, Redrives: o.Redrives + 1, Redriven: now,
	}
	if to.order != nil {
		value, _ := to.order.Path.Find(o.Event)
		if hash := to.order.Hash(value); hash != 0 {
			e.Orders, e.Home = []uint64{hash}, o.Bus.String() // where the others of its sequence are
		}
	}
	if j.to != "" {
		e.Hops = target.Hops{} // to go there is a new wish, and not one more step of what has led here
	}
	return e
}

// home keeps the events of a queue on one shard, so that they share frames.
func (j *job) home() string { return "redrive/" + j.at.ARN().String() }

// recall finds the letters that were handed over before, by a process that could not say so any more.
func (j *job) recall(ctx context.Context, v *queue.Survey, parcels []*parcel) error {
	keys := make([][16]byte, len(parcels))
	for i, p := range parcels {
		keys[i] = p.key
	}
	known, err := j.deliver.Remembers(ctx, keys)
	if err != nil {
		return err
	}
	now := j.opts.Clock.Now()
	for i, p := range parcels {
		claimed := v.Messages[i].Claimed
		switch {
		case known[i]:
			p.gone = true
		case p.reason == "" && !claimed.IsZero() && now.Sub(claimed) > doubtAfter:
			p.stays(true, inDoubt)
		}
	}
	return nil
}

// bundles are the parcels that can be accepted, in parts that are not too large.
func bundles(parcels []*parcel) func(yield func([]*parcel) bool) {
	return func(yield func([]*parcel) bool) {
		var some []*parcel
		size := 0
		for _, p := range parcels {
			if p.gone || p.reason != "" {
				continue
			}
			if len(some) > 0 && size+len(p.event.Event) > batchBytes {
				if !yield(some) {
					return
				}
				some, size = nil, 0
			}
			some, size = append(some, p), size+len(p.event.Event)
		}
		if len(some) > 0 {
			yield(some)
		}
	}
}

// accept hands parcels over. Whether it was done is known when it returns nil. An error of one parcel alone is its own.
func (j *job) accept(ctx context.Context, list []*parcel) error {
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		events := make([]deliver.Accepted, len(list))
		for i, p := range list {
			events[i] = p.event
		}
		err := j.deliver.Accept(ctx, events)
		var open []*parcel
		for i, p := range list {
			switch mine := events[i].Err; {
			case mine == nil:
				p.gone = true
			case rialto.KindOf(mine) == rialto.Invalid && len(list) == 1:
				p.stays(true, fmt.Sprintf("not taken: %v", mine))
			default:
				open = append(open, p)
			}
		}
		if len(open) == 0 {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, shard.ErrFenced) {
			return err
		}
		if rialto.KindOf(err) == rialto.Invalid && len(open) > 1 {
			for _, p := range open { // one of them is at fault
				if err := j.accept(ctx, []*parcel{p}); err != nil {
					return err
				}
			}
			return nil
		}
		j.opts.Logger.Warn("dead letters not handed over, trying again", "queue", j.at.Name, "err", err)
		if err := j.wait(ctx, pause, nil); err != nil {
			return err
		}
		list = open
	}
}

// release has the keys of letters forgotten that have left. If that cannot be said, they are kept for their time.
func (j *job) release(ctx context.Context, parcels []*parcel) {
	keys := make(map[string][][16]byte) // by home
	for _, p := range parcels {
		if p.gone && p.event.Home != "" {
			keys[p.event.Home] = append(keys[p.event.Home], p.key)
		}
	}
	for home, some := range keys {
		if err := j.deliver.Release(ctx, home, some); err != nil && ctx.Err() == nil {
			j.opts.Logger.Debug("keys of a redrive not released", "queue", j.at.Name, "err", err)
		}
	}
}
