package shard_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/internal/record"
	"github.com/rialto-events/rialto/internal/shard"
)

// A strangeLog behaves as a test says.
type strangeLog struct {
	journal.Log
	limit  int    // bytes of a record, if not 0
	first  uint64 // what is below has been truncated away
	append func(expected uint64, record []byte) error
	get    func(ctx context.Context, seq uint64) error
}

func (l *strangeLog) Get(ctx context.Context, seq uint64) ([]byte, error) {
	if seq < l.first {
		return nil, journal.ErrTruncated
	}
	if l.get != nil {
		if err := l.get(ctx, seq); err != nil {
			return nil, err
		}
	}
	return l.Log.Get(ctx, seq)
}

func (l *strangeLog) Read(ctx context.Context, from uint64, yield func(seq uint64, record []byte) error) error {
	return l.Log.Read(ctx, max(from, l.first), yield)
}

func (l *strangeLog) MaxRecord() int {
	if l.limit > 0 {
		return l.limit
	}
	return l.Log.MaxRecord()
}

func (l *strangeLog) Append(ctx context.Context, expected uint64, record []byte) (uint64, error) {
	if len(record) > l.MaxRecord() {
		return 0, journal.ErrTooLarge
	}
	if l.append != nil {
		if err := l.append(expected, record); err != nil {
			return 0, err
		}
	}
	return l.Log.Append(ctx, expected, record)
}

// open opens a shard with a shelf over a strange log.
func open(t *testing.T, l *strangeLog) (*shard.Shard, *shelf) {
	t.Helper()
	j := journal.NewSim(1, journal.SimFaults{}).Open()
	log, err := j.Log(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	blob, err := j.Blob(t.Context(), "snapshots")
	if err != nil {
		t.Fatal(err)
	}
	l.Log = log
	m := &shelf{}
	s, err := shard.Open(t.Context(), l, blob, []shard.Hosted{{Machine: m}}, shard.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s, m
}

func run(t *testing.T, s *shard.Shard) (end func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return func() error { cancel(); return <-done }
}

func put(s *shard.Shard, id uint64, size int) error {
	_, err := s.Propose(context.Background(), func(b *shard.Batch) {
		b.Add(kindPut, append(record.AppendUint(nil, id), bytes.Repeat([]byte{'x'}, size)...))
	})
	return err
}

// TestDamageEndsDoubt lets the acknowledgement of a frame get lost, and the log be found damaged then: the shard ends and says so,
// rather than ask for ever.
func TestDamageEndsDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		damaged := false
		l := &strangeLog{}
		s, _ := open(t, l)
		l.append = func(uint64, []byte) error {
			if damaged {
				return &journal.DamageError{Log: "log test", First: 1, Last: 1, Reason: "record 1 is missing"}
			}
			damaged = true
			return journal.ErrUnknown
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		if err := put(s, 1, 10); err == nil {
			t.Error("the proposer was told that all is well")
		}
		time.Sleep(time.Minute)
		select {
		case err := <-done:
			if _, ok := errors.AsType[*journal.DamageError](err); !ok {
				t.Errorf("the shard ended with %v, want the damage", err)
			}
		default:
			t.Error("the shard goes on")
		}
	})
}

// TestSmallRecords gives the shard a log that takes less than others, and proposals of every size at once. What does not fit is
// refused, and nothing else is.
func TestSmallRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, limit := range []int{252 << 10, 1<<20 - 4096, 4 << 20} {
			s, _ := open(t, &strangeLog{limit: limit})
			var next atomic.Uint64
			results := make(chan error)
			sizes := []int{100, limit / 2, limit/4 - 1000, limit/4 + 1000, limit / 2, 100, limit - 500, limit, 2 * limit, 100, limit / 2}
			for _, size := range sizes {
				go func() {
					err := put(s, next.Add(1), size)
					switch {
					case size <= limit/2 && err != nil:
						t.Errorf("%d bytes of %d: %v", size, limit, err)
					case size >= limit && rialto.KindOf(err) != rialto.Invalid:
						t.Errorf("%d bytes of %d: %v, want that it is too large", size, limit, err)
					}
					results <- err
				}()
			}
			synctest.Wait() // all of them wait for the first frame
			end := run(t, s)
			for range sizes {
				<-results
			}
			if err := end(); err != nil {
				t.Errorf("the shard ended with %v", err)
			}
		}
	})
}

// TestInsist lets the log not answer for a while: who proposes is sent away, and who insists learns how it ends.
func TestInsist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &strangeLog{}
		s, m := open(t, l)
		began := time.Now()
		l.append = func(uint64, []byte) error {
			if time.Since(began) < 5*time.Second {
				return journal.ErrUnknown
			}
			return nil
		}
		end := run(t, s)
		insisted := make(chan error)
		go func() {
			_, err := s.Insist(context.Background(), func(b *shard.Batch) { b.Add(kindPut, record.AppendUint(nil, 1)) })
			insisted <- err
		}()
		synctest.Wait()
		if err := put(s, 2, 10); rialto.KindOf(err) != rialto.Unavailable || time.Since(began) > time.Second {
			t.Errorf("Propose: %v after %v, want that it is sent away", err, time.Since(began))
		}
		if err := <-insisted; err != nil || time.Since(began) < 5*time.Second {
			t.Errorf("Insist: %v after %v", err, time.Since(began))
		}
		if err := end(); err != nil || m.items[1].puts != 1 {
			t.Errorf("the shard ended with %v, and item 1 was put %d times", err, m.items[1].puts)
		}
	})
}

// TestReadTogether lets many read in one frame at the same time: it is fetched once. If who fetches it goes away, another one does.
func TestReadTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gets atomic.Int32
		arrive := make(chan struct{})
		s, _ := open(t, &strangeLog{get: func(ctx context.Context, _ uint64) error {
			gets.Add(1)
			select {
			case <-arrive:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}})
		hurried, leave := context.WithCancel(t.Context())
		first, others := make(chan error, 1), make(chan error, 10)
		read := func(ctx context.Context, errs chan<- error) {
			_, err := s.Read(ctx, shard.Ref{Seq: 1, Len: 1})
			errs <- err
		}
		go read(hurried, first)
		synctest.Wait()
		for range cap(others) {
			go read(t.Context(), others)
		}
		synctest.Wait()
		if n := gets.Load(); n != 1 {
			t.Errorf("the frame is fetched %d times at once", n)
		}
		leave()
		if err := <-first; !errors.Is(err, context.Canceled) {
			t.Errorf("who went away got %v", err)
		}
		synctest.Wait()
		close(arrive)
		for range cap(others) {
			if err := <-others; err != nil {
				t.Errorf("somebody who waited got %v", err)
			}
		}
		if n := gets.Load(); n != 2 {
			t.Errorf("the frame was fetched %d times, want twice", n)
		}
		read(t.Context(), first)
		if err := <-first; err != nil || gets.Load() != 2 {
			t.Errorf("the frame is not kept: %v", err)
		}
	})
}

// A lateMachine came with a later version.
type lateMachine struct{ shelf }

func (*lateMachine) Name() string                    { return "late" }
func (*lateMachine) Kinds() (first, last shard.Kind) { return 0x60, 0x60 }

// TestNewMachine: a snapshot of a version that had fewer machines is read, and the new one begins with nothing.
func TestNewMachine(t *testing.T) {
	j := journal.NewSim(1, journal.SimFaults{}).Open()
	log, err := j.Log(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	blob, err := j.Blob(t.Context(), "snapshots")
	if err != nil {
		t.Fatal(err)
	}
	was := new(shelf)
	s, err := shard.OpenStepper(log, blob, time.Unix(1, 0), shard.Hosted{Machine: was})
	if err != nil {
		t.Fatal(err)
	}
	for range 4 { // the last one alone counts, so that the log is truncated and cannot be read from its beginning
		if _, err := s.Commit(time.Unix(2, 0), func(b *shard.Batch) { b.Add(kindPut, record.AppendUint(nil, 7)) }); err != nil {
			t.Fatal(err)
		}
		if err := s.Snapshot(); err != nil {
			t.Fatal(err)
		}
	}
	if first, _ := s.Bounds(); first < 2 {
		t.Fatal("the log was not truncated")
	}
	is, late := new(shelf), new(lateMachine)
	if _, err := shard.OpenStepper(log, blob, time.Unix(3, 0), shard.Hosted{Machine: is}, shard.Hosted{Machine: late}); err != nil {
		t.Fatal(err)
	}
	if len(is.items) != 1 || len(late.items) != 0 || late.items == nil {
		t.Errorf("the old machine has %d items, want 1; the new one %v, want none", len(is.items), late.items)
	}
}

// TestFirstSnapshot: a snapshot of version 1, which had all states inside, is read.
func TestFirstSnapshot(t *testing.T) {
	d := newDisk(t)
	was := &shelf{}
	s, err := shard.OpenStepper(d.log, d.blob, time.Unix(1, 0), shard.Hosted{Machine: was})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(time.Unix(2, 0), func(b *shard.Batch) { b.Add(kindPut, record.AppendUint(nil, 7)) }); err != nil {
		t.Fatal(err)
	}
	b := append([]byte("RLTS"), 1)
	b = record.AppendString(b, "test")
	b = record.AppendUint(b, 2)
	last, err := d.log.Get(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	first, err := d.log.Get(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	hash := journal.HashOf(last)
	b = append(b, hash[:]...)
	b = record.AppendUint(b, 1)
	b = record.AppendTime(b, time.Unix(2, 0))
	for _, n := range []int{1, 2, len(first), len(last), 1} {
		b = record.AppendUint(b, uint64(n))
	}
	b = record.AppendString(b, was.Name())
	b = record.AppendBytes(b, was.Snapshot(nil))
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	if err := d.blob.Put(t.Context(), "test/00000000000000000002", b); err != nil {
		t.Fatal(err)
	}
	if err := d.log.Truncate(t.Context(), 3); err != nil { // so that the snapshot must be read
		t.Fatal(err)
	}
	is := &shelf{}
	_, err = shard.OpenStepper(d.log, d.blob, time.Unix(3, 0), shard.Hosted{Machine: is})
	if damage, ok := errors.AsType[*journal.DamageError](err); !ok || damage.First != 2 || len(is.items) != 1 {
		t.Errorf("opened with %v and %d items; want the one item, whose frame is missing", err, len(is.items))
	}
}
