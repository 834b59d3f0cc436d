package history

import (
	"bytes"
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
	err = s.scan(ctx, archive, w, byTime, counting(&t, match))
	return t, err
}

// counting counts what matches.
func counting(t *Total, match func(event []byte) bool) scanner {
	return scanner{
		begin: func(*ledger) { *t = Total{} },
		whole: func(of Total) bool {
			if match == nil {
				*t = t.plus(of)
			}
			return match == nil
		},
		visit: func(e Entry) bool {
			if match == nil || match(e.Event) {
				*t = t.plus(Total{1, int64(len(e.Event))})
			}
			return true
		},
	}
}

// Sample returns up to n sealed events of a window that match, drawn evenly, in their order; a nil match is all. It reads the whole window. An error
// that is a [*DamageError] comes with events of the rest.
func (s *Service) Sample(ctx context.Context, archive string, w Window, match func(event []byte) bool, n int) (drawn []Entry, err error) {
	if n <= 0 {
		return nil, nil
	}
	seen := 0
	err = s.scan(ctx, archive, w, byTime, scanner{
		begin: func(*ledger) { drawn, seen = nil, 0 },
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
		begin: func(*ledger) {},
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
	begin func(*ledger)       // forget everything; this is what is read
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
		l, err := st.present(ctx)
		if err != nil {
			return err
		}
		to.begin(l)
		err = st.scan(ctx, l, w.limits(st.oldest()), o, to)
		if !errors.Is(err, errRemoved) {
			return err
		}
	}
}

// scan reads all that can be read. If something is damaged, the error has every [*DamageError].
func (st *store) scan(ctx context.Context, l *ledger, in limits, o *order, to scanner) error {
	var damaged []error
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
			damaged = append(damaged, err)
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
				damaged = append(damaged, err)
				continue
			}
			if slices.ContainsFunc(list, func(e Entry) bool { return in.admits(o.of(e.Position), e.Position) && !to.visit(e) }) {
				return errors.Join(damaged...)
			}
		}
	}
	return errors.Join(damaged...)
}
