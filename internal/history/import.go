package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/rialto-events/rialto"
)

// importedShard is the shard of events that come from none.
const importedShard = math.MaxUint32

// importAtOnce bounds the events that are imported into one segment; [sealBytes] does, too.
const importAtOnce = 50_000

// Import adds events from elsewhere to an archive, as they are: JSON objects with an "id" and a "time", which is the one that windows go by. They count
// as accepted now. It returns how many were added, which may be some of them if there is an error; those are there for good.
func (s *Service) Import(ctx context.Context, archive string, events iter.Seq2[[]byte, error]) (added int64, err error) {
	st, err := s.store(archive)
	if err != nil {
		return 0, err
	}
	var batch []Entry
	size, n := 0, 0
	put := func() error {
		if err := st.add(ctx, batch); err != nil {
			return fmt.Errorf("import %d events into the archive %s: %w", len(batch), st.name, err)
		}
		added += int64(len(batch))
		batch, size = nil, 0
		return nil
	}
	for event, err := range events {
		if err != nil {
			return added, err
		}
		n++
		e, err := s.imported(event)
		if err != nil {
			return added, rialto.Errorf(rialto.Invalid, "Event %d cannot be imported: %v.", n, err)
		}
		batch, size = append(batch, e.clone()), size+len(event)
		if size < sealBytes && len(batch) < importAtOnce {
			continue
		}
		if err := put(); err != nil {
			return added, err
		}
	}
	if len(batch) > 0 {
		err = put()
	}
	return added, err
}

// imported checks an event from elsewhere. Its key comes later.
func (s *Service) imported(event []byte) (Entry, error) {
	var has struct {
		ID   string    `json:"id"`
		Time time.Time `json:"time"`
	}
	switch err := json.Unmarshal(event, &has); {
	case err != nil:
		return Entry{}, err
	case len(event) > maxEvent:
		return Entry{}, fmt.Errorf("it has %d bytes, more than %d", len(event), maxEvent)
	case has.ID == "" || has.Time.IsZero():
		return Entry{}, errors.New(`it has no "id" or no "time"`)
	}
	now := s.opts.Clock.Now()
	return Entry{Position: Position{Time: has.Time.UnixMicro(), Accepted: now.UnixMicro(), Shard: importedShard}, Event: event}, nil
}

// add makes a segment of events that come from no shard.
func (st *store) add(ctx context.Context, batch []Entry) error {
	for {
		err := st.tryAdd(ctx, batch)
		if !errors.Is(err, errMoved) {
			return err
		}
	}
}

func (st *store) tryAdd(ctx context.Context, batch []Entry) error {
	st.write.Lock()
	defer st.write.Unlock()
	if err := st.readable(ctx); err != nil {
		return err
	}
	now := st.current()
	events := make([]Entry, len(batch))
	for i, e := range batch {
		e.Position.Key = now.imported + uint64(i) + 1
		events[i] = e
	}
	info, err := st.store(ctx, sorted(events))
	if err != nil {
		return err
	}
	next := now.with([]segmentInfo{info}, now.marks)
	next.imported += uint64(len(batch))
	return st.swap(ctx, next)
}
