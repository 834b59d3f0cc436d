package history

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/jsonpath"
)

// Tally counts the sealed events of a window that match; a nil match is all, which needs little reading. An error that is a [*DamageError] comes
// with the count of the rest.
func (s *Service) Tally(ctx context.Context, archive string, w Window, match func(event []byte) bool) (t Total, err error) {
	whole := func(of Total) bool {
		if match == nil {
			t = t.plus(of)
		}
		return match == nil
	}
	err = s.scan(ctx, archive, w, byTime, scanner{
		begin: func() { t = Total{} },
		whole: whole,
		visit: func(e Entry) bool {
			if match == nil || match(e.Event) {
				t = t.plus(Total{1, int64(len(e.Event))})
			}
			return true
		},
	})
	return t, err
}

// Sample returns up to n sealed events of a window that match, drawn evenly, in their order; a nil match is all. It reads the whole window. An error
// that is a [*DamageError] comes with events of the rest.
func (s *Service) Sample(ctx context.Context, archive string, w Window, match func(event []byte) bool, n int) (drawn []Entry, err error) {
	if n <= 0 {
		return nil, nil
	}
	seen := 0
	err = s.scan(ctx, archive, w, byTime, scanner{
		begin: func() { drawn, seen = nil, 0 },
		visit: func(e Entry) bool {
			if match != nil && !match(e.Event) {
				return true
			}
			seen++
			switch at := rand.IntN(seen); {
			case len(drawn) < n:
				drawn = append(drawn, e.clone())
			case at < n:
				drawn[at] = e.clone()
			}
			return true
		},
	})
	return sorted(drawn), err
}

// clone lets go of the block that the event stands in.
func (e Entry) clone() Entry { return Entry{e.Position, bytes.Clone(e.Event)} }

// About when an event was accepted, as seen from the time in its ID.
const (
	idEarly = time.Second
	idLate  = time.Minute
)

// Find returns the sealed event with an ID, or an error of kind NotFound. IDs that rialto gave tell about when the event was accepted, so it reads
// little; others are looked for everywhere.
func (s *Service) Find(ctx context.Context, archive, eventID string) (Entry, error) {
	var around Window
	if id, err := uuid.Parse(eventID); err == nil && id.Version() == 7 {
		sec, nsec := id.Time().UnixTime()
		at := time.Unix(sec, nsec)
		around = Window{From: at.Add(-idEarly), To: at.Add(idLate)}
	}
	e, err := s.find(ctx, archive, around, eventID)
	if rialto.KindOf(err) == rialto.NotFound && around != (Window{}) {
		e, err = s.find(ctx, archive, Window{}, eventID)
	}
	return e, err
}

func (s *Service) find(ctx context.Context, archive string, w Window, eventID string) (found Entry, err error) {
	quoted := []byte(`"` + eventID + `"`)
	err = s.scan(ctx, archive, w, byAcceptance, scanner{
		begin: func() {},
		visit: func(e Entry) bool {
			if bytes.Contains(e.Event, quoted) && bytes.Equal(idOf(e.Event), quoted) {
				found = e.clone()
			}
			return found.Event == nil
		},
	})
	if found.Event != nil {
		return found, nil
	}
	if err != nil {
		return Entry{}, err
	}
	return Entry{}, rialto.Errorf(rialto.NotFound, "The archive has no event with the id %s.", eventID)
}

// idOf is an event's id, with its quotes.
func idOf(event []byte) []byte {
	for name, value := range jsonpath.Members(event) {
		if string(name) == "id" {
			return value
		}
	}
	return nil
}

// A scanner is told of events in no particular order.
type scanner struct {
	begin func()              // forget everything
	whole func(of Total) bool // a block is in the window with all of its events; true if that is enough to know. May be nil
	visit func(e Entry) bool  // false is the end
}

// scan reads a window. If a segment is merged meanwhile, it begins anew.
func (s *Service) scan(ctx context.Context, archive string, w Window, o *order, to scanner) error {
	st, err := s.store(archive)
	if err != nil {
		return err
	}
	for {
		to.begin()
		err := st.scan(ctx, w.limits(st.oldest()), o, to)
		if !errors.Is(err, errRemoved) {
			return err
		}
	}
}

func (st *store) scan(ctx context.Context, in limits, o *order, to scanner) error {
	var damaged error // the first
	l, err := st.present(ctx)
	if err != nil {
		return err
	}
	for i := range l.segments {
		info := &l.segments[i]
		if !in.meets(o.segment(info), info.accepted) {
			continue
		}
		if to.whole != nil && in.covers(o.segment(info), info.accepted) && to.whole(info.total(in.oldest)) {
			continue
		}
		seg, err := st.load(ctx, info)
		if err != nil {
			if _, ok := errors.AsType[*DamageError](err); !ok {
				return err
			}
			damaged = cmp.Or(damaged, err)
			continue
		}
		for n := range seg.blocks {
			b := &seg.blocks[n]
			if !in.meets(o.block(b), b.accepted) {
				continue
			}
			if to.whole != nil && in.covers(o.block(b), b.accepted) && to.whole(b.Total) {
				continue
			}
			list, err := st.readBlock(ctx, info, n)
			if err != nil {
				if _, ok := errors.AsType[*DamageError](err); !ok {
					return err
				}
				damaged = cmp.Or(damaged, err)
				continue
			}
			if slices.ContainsFunc(list, func(e Entry) bool { return in.admits(o.of(e.Position), e.Position) && !to.visit(e) }) {
				return damaged
			}
		}
	}
	return damaged
}
