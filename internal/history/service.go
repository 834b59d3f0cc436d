package history

import (
	"context"
	"iter"
	"log/slog"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/target"
)

// Options tunes a Service. The zero value is ready to use.
type Options struct {
	Logger *slog.Logger // nil discards
	Clock  rialto.Clock // nil is the system's
}

// A Service keeps the events of all archives. Its methods take the ID of an archive, [catalog.Archive.ID]; if there is none, or no more,
// the error has the kind [rialto.NotFound].
type Service struct {
	catalog *catalog.Catalog
	opts    Options
}

var _ deliver.Retainer = (*Service)(nil)

// Source is where events come from: package deliver's Deliverer.
type Source interface {
	ReadRetained(ctx context.Context, r deliver.Retained) (*deliver.Accepted, error)
	Settle(list []deliver.Retained)
	HandedOut(ctx context.Context) error
}

var _ Source = (*deliver.Deliverer)(nil)

// Open reads what is stored, and removes what an interrupted process has left. It gets the bucket and the blobs "history".
func Open(ctx context.Context, kv journal.KV, blobs journal.Blob, c *catalog.Catalog, opts Options) (*Service, error) {
	return nil, errNotYet
}

// Attach tells where events come from. It is called once, before anything is handed over.
func (s *Service) Attach(source Source) {}

// Run seals, merges and removes until ctx ends. What is not sealed then is in the log, and is handed out again at the next start.
func (s *Service) Run(ctx context.Context) error { return errNotYet }

// Retains reports whether deliveries by a definition are for an archive.
func (s *Service) Retains(d *target.Definition) bool {
	_, ok := catalog.StoreID(d.ARN)
	return ok
}

// Retain takes deliveries for an archive.
func (s *Service) Retain(d *target.Definition, list []deliver.Retained) {}

// A Total is a number of events and how many bytes they have as JSON.
type Total struct{ Events, Bytes int64 }

// Count is what an archive has: everything that was accepted before the call, sealed or not, and is not too old.
func (s *Service) Count(ctx context.Context, archive string) (Total, error) {
	return Total{}, errNotYet
}

// Flush returns when everything that an archive got before the call is sealed, so that Read finds it.
func (s *Service) Flush(ctx context.Context, archive string) error { return errNotYet }

// Delete removes all that an archive has, and returns when its space is given back. The archive must be gone from the catalog, since which
// moment it takes in nothing more and cannot be read. What Delete does not get to do, Run does, also after a restart.
func (s *Service) Delete(ctx context.Context, archive string) error { return errNotYet }

// A Window is a part of an archive. The zero value is all of it.
type Window struct {
	From, To time.Time // From <= the event's time < To; zero is open. For [Service.ReadAccepted] it is the time of its acceptance
	Before   time.Time // only what was accepted before; zero is everything. What comes in while somebody reads is left out with it
}

// An Entry is an event of an archive.
type Entry struct {
	Position Position
	Event    []byte // JSON, as it was accepted; must not be changed
}

// Time is the event's time, to the microsecond.
func (e *Entry) Time() time.Time { return time.UnixMicro(e.Position.Time).UTC() }

// Accepted is when the event was accepted, to the microsecond.
func (e *Entry) Accepted() time.Time { return time.UnixMicro(e.Position.Accepted).UTC() }

// Read yields the events of a window that are sealed, by time and, for equal times, by acceptance, beginning with the first after a position.
// The zero position is before all. The order is total and never changes, and a position stays valid whatever is merged or removed meanwhile: reading
// on after a break, or a restart, at the last position leaves nothing out and repeats nothing.
//
// An error that is a [*DamageError] tells of a range that is left out; the reading goes on after it. After any other error it ends.
func (s *Service) Read(ctx context.Context, archive string, w Window, after Position) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) { yield(Entry{}, errNotYet) }
}

// ReadAccepted is like Read, in the order of acceptance: by [Position.CompareAccepted], with a window of acceptance.
func (s *Service) ReadAccepted(ctx context.Context, archive string, w Window, after Position) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) { yield(Entry{}, errNotYet) }
}

// Find returns the event with an ID, or an error of kind NotFound. IDs that rialto gave tell about when the event was accepted, so it reads
// little; others are looked for everywhere.
func (s *Service) Find(ctx context.Context, archive, eventID string) (Entry, error) {
	return Entry{}, errNotYet
}

// Tally counts the sealed events of a window that match; a nil match is all, which needs little reading. An error that is a [*DamageError] comes
// with the count of the rest.
func (s *Service) Tally(ctx context.Context, archive string, w Window, match func(event []byte) bool) (Total, error) {
	return Total{}, errNotYet
}

// Sample returns up to n events of a window that match, drawn evenly, in their order. It reads the whole window.
func (s *Service) Sample(ctx context.Context, archive string, w Window, match func(event []byte) bool, n int) ([]Entry, error) {
	return nil, errNotYet
}

// Stats are figures of an archive.
type Stats struct {
	Total    Total
	Pending  int       // events that are not sealed
	Segments int       // that are stored
	Stored   int64     // bytes of the segments
	First    time.Time // least time of a sealed event; zero if there is none
	Last     time.Time // greatest
}

// Stats returns the figures of an archive.
func (s *Service) Stats(ctx context.Context, archive string) (Stats, error) {
	return Stats{}, errNotYet
}

var errNotYet = rialto.Errorf(rialto.Unavailable, "This version cannot keep events.")
