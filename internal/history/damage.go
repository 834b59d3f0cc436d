package history

import (
	"fmt"
	"time"
)

// A DamageError says that a part of an archive cannot be trusted, and is not served.
type DamageError struct {
	Archive  string    // its name
	Segment  string    // its name among the archive's blobs
	Block    int       // within the segment, from 0; -1 is all of it
	From, To time.Time // times of the first and the last event that may be missing
	Events   int64     // that are in it
	Cause    error
}

func (e *DamageError) Error() string {
	what := "segment " + e.Segment
	if e.Block >= 0 {
		what = fmt.Sprintf("block %d of %s", e.Block, what)
	}
	return fmt.Sprintf("%s of archive %s is damaged, with %d events from %s to %s: %v",
		what, e.Archive, e.Events, e.From.Format(time.RFC3339), e.To.Format(time.RFC3339), e.Cause)
}

func (e *DamageError) Unwrap() error { return e.Cause }

// Damages lists what an error says is damaged, while everything else was read; nil if the error says something else.
func Damages(err error) (list []*DamageError) {
	switch e := err.(type) {
	case *DamageError:
		return []*DamageError{e}
	case interface{ Unwrap() error }:
		return Damages(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			list = append(list, Damages(err)...)
		}
	}
	return list
}
