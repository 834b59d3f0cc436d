package shard

import (
	"context"
	"errors"

	"github.com/rialto-events/rialto/internal/journal"
)

const (
	scanGap  = 16 // frames between two that are wanted: to read on costs less than to ask anew
	scanMost = 64 // frames from the first that is wanted to the last: fewer are asked for one by one
)

// errScanned ends the reading of a stretch of the log.
var errScanned = errors.New("all that is wanted is read")

// Scan reads payloads in the order in which they lie in the log, which must be that of the list: for one who wants so many of them that it is better
// to read the log through than to look each up. Those that were carried forward meanwhile are left out. A payload is valid only during the
// call of yield, whose error ends the scan.
func (s *Shard) Scan(ctx context.Context, refs []Ref, yield func(i int, payload []byte) error) error {
	for next := 0; next < len(refs); {
		end := next + 1
		for end < len(refs) && refs[end].Seq-refs[end-1].Seq <= scanGap {
			end++
		}
		read := s.scanFrames
		if refs[end-1].Seq-refs[next].Seq >= scanMost {
			read = s.scanStretch
		}
		if err := read(ctx, refs[next:end], func(i int, payload []byte) error { return yield(next+i, payload) }); err != nil {
			return err
		}
		next = end
	}
	return nil
}

// scanFrames asks for each frame by itself.
func (s *Shard) scanFrames(ctx context.Context, refs []Ref, yield func(i int, payload []byte) error) error {
	var payload []byte
	var err error
	for i, ref := range refs {
		if i == 0 || ref.Seq != refs[i-1].Seq {
			payload, err = s.fetch(ctx, ref.Seq)
		}
		if errors.Is(err, ErrMoved) {
			continue
		}
		if err == nil {
			err = yieldPart(i, payload, ref, yield)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// scanStretch reads the log from the first frame to the last.
func (s *Shard) scanStretch(ctx context.Context, refs []Ref, yield func(i int, payload []byte) error) error {
	next := 0
	err := s.core.log.Read(ctx, refs[0].Seq, func(seq uint64, rec []byte) error {
		for next < len(refs) && refs[next].Seq < seq {
			next++ // truncated away
		}
		switch {
		case next == len(refs):
			return errScanned
		case refs[next].Seq > seq:
			return nil
		}
		frame, err := journal.ParseFrame(rec)
		if err != nil {
			return err
		}
		for ; next < len(refs) && refs[next].Seq == seq; next++ {
			if err := yieldPart(next, frame.Payload, refs[next], yield); err != nil {
				return err
			}
		}
		return nil
	})
	if err == errScanned || errors.Is(err, journal.ErrTruncated) {
		return nil
	}
	return err
}

func yieldPart(i int, payload []byte, ref Ref, yield func(int, []byte) error) error {
	b, err := part(payload, ref)
	if err != nil {
		return err
	}
	return yield(i, b)
}
