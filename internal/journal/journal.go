package journal

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/rialto-events/rialto"
)

// MaxRecord is the most that one record of a log may have, in bytes. A cluster may allow less: ask [Log.MaxRecord].
const MaxRecord = 4 << 20

// MaxValue is the most that one value of a [KV] may have, in bytes.
const MaxValue = 960 << 10 // fits into one message of a NATS server with its default limit of 1 MiB

// Limits of names, keys and blobs. Logs and buckets are few; a cluster pays for each.
const (
	maxKey  = 512      // bytes of a key, and of the name of a blob
	maxBlob = 16 << 30 // bytes of a blob
)

// What a caller may act on. Ask with errors.Is; each also has a [rialto.Kind].
var (
	ErrConflict  error = rialto.Errorf(rialto.Conflict, "somebody else wrote meanwhile")        // read again and decide again
	ErrUnknown   error = rialto.Errorf(rialto.Unavailable, "the outcome of a write is unknown") // it is stored, or will be, or not
	ErrTruncated error = rialto.Errorf(rialto.NotFound, "the record was truncated away")        // below the first record of the log
	ErrNotFound  error = rialto.Errorf(rialto.NotFound, "there is no such entry")               // no such key, blob or record
	ErrExists    error = rialto.Errorf(rialto.Exists, "the key is there already")
	ErrTooLarge  error = rialto.Errorf(rialto.Invalid, "too large for the journal") // a record, value or key beyond its limit
	ErrClosed    error = rialto.Errorf(rialto.Unavailable, "the journal is closed") // no call will succeed any more: stop
)

// A Journal is where everything durable lives. [OpenEmbedded], [OpenExternal] and [Sim.Open] make one.
type Journal interface {
	// Log opens a log, making it if it is not there. A log that lost records or whose records are damaged is refused with
	// a [*DamageError]. The name has 1 to 48 letters, digits, '-' and '_'.
	Log(ctx context.Context, name string) (Log, error)
	// KV opens a bucket of keys and values, making it if it is not there. The name is like that of a log.
	KV(ctx context.Context, bucket string) (KV, error)
	// Blob opens a bucket of blobs, making it if it is not there. The name is like that of a log.
	Blob(ctx context.Context, bucket string) (Blob, error)
	// Health is nil while the journal can take writes.
	Health() error
	// Room is nil while there is room for more. Whoever writes something that stays asks first, and leaves the rest of the room to
	// writes by which something goes: without that, a journal full of messages could not even note that one was deleted.
	Room() error
	// Close ends the journal; calls in progress fail. Whoever writes must have stopped before.
	Close(ctx context.Context) error
}

// A Log is a sequence of records that only grows at its end and is only cut at its beginning. Sequence numbers start at 1 and
// have no gaps. Every record is an encoded [Frame] whose Shard is the name of the log, whose Seq is the record's sequence
// number and whose Prev is the [Hash] of the record before. Reading checks all of that: what a Log hands out is what was
// appended, or the error is a [*DamageError]. Its methods may be called by several goroutines at once.
type Log interface {
	Name() string
	// MaxRecord is the most bytes that Append takes.
	MaxRecord() int
	// Append adds a record after the sequence number expected, which the caller believes to be the last. The error is, or
	// wraps, ErrConflict if it is not; ErrUnknown if it cannot be told whether the record was stored (it may even be stored
	// later, as long as nobody else has written); otherwise the record was not stored, now or later, and the error has the
	// kind [rialto.Unavailable] if trying again later makes sense.
	Append(ctx context.Context, expected uint64, record []byte) (seq uint64, err error)
	// Read yields the records from the sequence number from, or from the first if that was truncated away, up to the last
	// at the time of the call. A from beyond the end yields nothing. The record is valid only during the call of yield and
	// must not be changed. An error of yield ends Read and is returned as it is.
	Read(ctx context.Context, from uint64, yield func(seq uint64, record []byte) error) error
	// Get returns one record: ErrTruncated below the first, ErrNotFound above the last.
	Get(ctx context.Context, seq uint64) ([]byte, error)
	// Truncate removes the records below before, which is at most the last sequence number plus one.
	Truncate(ctx context.Context, before uint64) error
	// Bounds returns the sequence numbers of the first and the last record. If the log is empty, first is last+1.
	Bounds(ctx context.Context) (first, last uint64, err error)
	// Scrub reads and checks the whole log. Opening a large one checks only its end; a caller does the rest with Scrub,
	// in the background.
	Scrub(ctx context.Context) error
}

// An Entry is a key of a [KV] with its value.
type Entry struct {
	Key     string
	Value   []byte
	Rev     uint64 // grows with every change of the bucket; that of the key's last change
	Deleted bool   // the change was a deletion; only [KV.Watch] hands these out
}

// A KV keeps values under keys and replaces them only if they are what the caller believes they are. A key is any string of
// 1 to 512 bytes; a bucket remembers those that are deleted, at some 200 bytes each, so keys should not be made up without
// end. In a cluster a read may be stale; Create, Update and a Delete with a revision never act on a stale one. Values
// handed out must not be changed.
type KV interface {
	// Get returns the entry of a key, or ErrNotFound.
	Get(ctx context.Context, key string) (Entry, error)
	// Create sets a key that is not there, or fails with ErrExists.
	Create(ctx context.Context, key string, value []byte) (rev uint64, err error)
	// Update replaces the value that has the revision rev, or fails with ErrConflict.
	Update(ctx context.Context, key string, value []byte, rev uint64) (uint64, error)
	// Put sets a key, whatever it was.
	Put(ctx context.Context, key string, value []byte) (rev uint64, err error)
	// Delete removes a key if it has the revision rev, or fails with ErrConflict. With rev 0 it removes whatever is there,
	// and a key that is not there is no error.
	Delete(ctx context.Context, key string, rev uint64) error
	// List returns the entries whose keys begin with prefix, sorted by key.
	List(ctx context.Context, prefix string) ([]Entry, error)
	// Watch calls f for every entry of the prefix that changed after the revision after, in the order of the revisions, and
	// goes on as changes happen. It may leave out all but the last change of a key. To follow a bucket without a gap, List
	// it and Watch after the highest revision seen. It returns nil when ctx ends, and otherwise what made it stop, such as
	// an error of f.
	Watch(ctx context.Context, prefix string, after uint64, f func(Entry) error) error
}

// A Blob keeps named pieces of data that are larger than a record, such as snapshots. What Get returns is what was put
// last, whole and checked, or it is an error: a Put that was interrupted is not seen. A name is any string of 1 to 512 bytes.
type Blob interface {
	Put(ctx context.Context, name string, data []byte) error
	// Get returns ErrNotFound or a [*DamageError] if it cannot return the data.
	Get(ctx context.Context, name string) ([]byte, error)
	// Delete removes a blob; one that is not there is no error.
	Delete(ctx context.Context, name string) error
	// List returns the names that begin with prefix, sorted.
	List(ctx context.Context, prefix string) ([]string, error)
}

// Options tunes a Journal. The zero value is ready to use.
type Options struct {
	Logger *slog.Logger // nil discards
	Clock  rialto.Clock // nil is the real one
	// Replicas is how many servers of an external cluster keep every record: 1 or 3; 0 is 1. An embedded journal has 1.
	Replicas int
	// Credentials is the path of a NATS credentials file for an external cluster; empty for none, or for those in the URL.
	Credentials string
	// Relaxed syncs once a second instead of before every acknowledgement: up to a second of what was acknowledged is lost if
	// the machine (not merely the process) stops. Embedded only.
	Relaxed bool
	// MaxBytes is the most that an embedded journal may occupy; 0 is nine tenths of what the volume has free when it opens,
	// with what the journal occupies already, and again when that is used up.
	MaxBytes int64
}

// A DamageError says that a log, bucket or blob is not what was once acknowledged: records are missing, changed or in the
// wrong place. Nothing of the range can be trusted. It is never repaired silently.
type DamageError struct {
	Log    string // such as "log shard-0", "bucket catalog"
	First  uint64 // the sequence numbers concerned, both included; 0 to 0 if they are not known
	Last   uint64
	Reason string // in words, such as "record 17 is missing"
}

func (e *DamageError) Error() string {
	switch {
	case e.First == 0 && e.Last == 0:
		return fmt.Sprintf("%s is damaged: %s", e.Log, e.Reason)
	case e.First == e.Last:
		return fmt.Sprintf("%s is damaged in record %d: %s", e.Log, e.First, e.Reason)
	}
	return fmt.Sprintf("%s is damaged in records %d to %d: %s", e.Log, e.First, e.Last, e.Reason)
}

// checkName refuses what cannot be a part of a subject, a stream's name and a file's name alike.
func checkName(name string) error {
	if len(name) == 0 || len(name) > maxName {
		return rialto.Errorf(rialto.Invalid, "The name %q of a log or bucket does not have 1 to %d characters.", name, maxName)
	}
	for _, c := range []byte(name) {
		if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return rialto.Errorf(rialto.Invalid, "The name %q of a log or bucket has other characters than letters, digits, '-' and '_'.", name)
		}
	}
	return nil
}

func checkKey(key string) error {
	if len(key) == 0 || len(key) > maxKey {
		return fmt.Errorf("a key of %d bytes instead of 1 to %d: %w", len(key), maxKey, ErrTooLarge)
	}
	return nil
}

func checkEntry(key string, value []byte) error {
	if len(value) > MaxValue {
		return fmt.Errorf("a value of %d bytes, more than %d: %w", len(value), MaxValue, ErrTooLarge)
	}
	return checkKey(key)
}

// checkAppend refuses a record that is not the frame its place in the log asks for. That is a mistake of the caller, and
// better found now than as damage later.
func checkAppend(log string, limit int, expected uint64, record []byte) (Frame, error) {
	if len(record) > limit {
		return Frame{}, fmt.Errorf("a record of %d bytes, more than %d: %w", len(record), limit, ErrTooLarge)
	}
	var shard []byte
	f, err := parseFrame(record, &shard)
	if err != nil {
		return Frame{}, err
	}
	if string(shard) != log || f.Seq != expected+1 {
		return Frame{}, fmt.Errorf("the frame is number %d of log %s", f.Seq, shard)
	}
	return f, nil
}
