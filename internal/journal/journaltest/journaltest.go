// Package journaltest is the contract of a journal as a test suite: embedded, external and simulated ones pass the same
// scenarios. Start with [Run].
package journaltest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/journal"
)

// Run checks a kind of journal. The function makes a new, empty storage and returns what opens a journal on it, any number of
// times, one after the other.
func Run(t *testing.T, storage func(t *testing.T) (open func(t *testing.T) journal.Journal)) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, s *story)
	}{
		{"a log grows and is read", logGrows},
		{"an append that expects another end is refused", logConflict},
		{"a record that does not fit its place is refused", logWrongFrame},
		{"a log is truncated", logTruncate},
		{"a log is there again", logReopened},
		{"large records", logLarge},
		{"names", names},
		{"keys are created, updated and deleted", kvChanges},
		{"keys of any kind", kvKeys},
		{"keys are there again", kvReopened},
		{"a watcher sees every change", kvWatch},
		{"blobs are put, replaced and deleted", blobChanges},
		{"blobs are there again", blobReopened},
		{"a closed journal says so", closed},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			s := &story{open: storage(t)}
			s.reopen(t)
			t.Cleanup(func() { s.close(t) })
			c.test(t, s)
		})
	}
}

// A story is a test with the journal that it has open at the time.
type story struct {
	open func(t *testing.T) journal.Journal
	j    journal.Journal
}

var ctx = context.Background()

func (s *story) close(t *testing.T) {
	t.Helper()
	if err := s.j.Close(ctx); err != nil {
		t.Errorf("close the journal: %v", err)
	}
}

func (s *story) reopen(t *testing.T) {
	t.Helper()
	if s.j != nil {
		s.close(t)
	}
	s.j = s.open(t)
}

func (s *story) log(t *testing.T) journal.Log {
	t.Helper()
	l, err := s.j.Log(ctx, "orders")
	if err != nil {
		t.Fatalf("open the log: %v", err)
	}
	return l
}

func (s *story) kv(t *testing.T) journal.KV {
	t.Helper()
	kv, err := s.j.KV(ctx, "catalog")
	if err != nil {
		t.Fatalf("open the bucket: %v", err)
	}
	return kv
}

func (s *story) blob(t *testing.T) journal.Blob {
	t.Helper()
	b, err := s.j.Blob(ctx, "snapshots")
	if err != nil {
		t.Fatalf("open the blobs: %v", err)
	}
	return b
}

// A Writer makes the frames of a log, one after the other.
type Writer struct {
	Log  journal.Log
	Last uint64
	Prev journal.Hash
}

// Next is the record that follows.
func (w *Writer) Next(payload []byte) []byte {
	f := journal.Frame{Shard: w.Log.Name(), Seq: w.Last + 1, Epoch: 1, Prev: w.Prev, Time: time.Unix(1_700_000_000, int64(w.Last)), Payload: payload}
	return f.Append(nil)
}

// Append appends a record with the payload and returns it.
func (w *Writer) Append(t testing.TB, payload []byte) []byte {
	t.Helper()
	rec := w.Next(payload)
	seq, err := w.Log.Append(ctx, w.Last, rec)
	if err != nil || seq != w.Last+1 {
		t.Fatalf("append record %d: sequence number %d, %v", w.Last+1, seq, err)
	}
	w.Last, w.Prev = seq, journal.HashOf(rec)
	return rec
}

// Fill appends so many records, each with a payload of its own.
func (w *Writer) Fill(t testing.TB, n int) (records [][]byte) {
	t.Helper()
	for range n {
		records = append(records, w.Append(t, fmt.Appendf(nil, "payload %d", w.Last+1)))
	}
	return records
}

// WantRecords fails the test unless the log reads, from the sequence number first on, as the records.
func WantRecords(t testing.TB, l journal.Log, first uint64, want [][]byte) {
	t.Helper()
	next := first
	err := l.Read(ctx, first, func(seq uint64, rec []byte) error {
		if i := int(seq - first); seq != next || i >= len(want) || !bytes.Equal(rec, want[i]) {
			return fmt.Errorf("record %d is %q", seq, rec)
		}
		next++
		return nil
	})
	if err != nil || int(next-first) != len(want) {
		t.Fatalf("read from %d: %d of %d records, then %v", first, next-first, len(want), err)
	}
}

func wantBounds(t *testing.T, l journal.Log, first, last uint64) {
	t.Helper()
	f, z, err := l.Bounds(ctx)
	if err != nil || f != first || z != last {
		t.Fatalf("bounds are %d to %d, %v; want %d to %d", f, z, err, first, last)
	}
}

func wantErr(t *testing.T, doing string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("%s: got %v, want %v", doing, got, want)
	}
}

func logGrows(t *testing.T, s *story) {
	l := s.log(t)
	wantBounds(t, l, 1, 0)
	WantRecords(t, l, 1, nil)
	if _, err := l.Get(ctx, 1); !errors.Is(err, journal.ErrNotFound) {
		t.Fatalf("get from an empty log: %v", err)
	}
	w := &Writer{Log: l}
	recs := w.Fill(t, 20)
	wantBounds(t, l, 1, 20)
	WantRecords(t, l, 1, recs)
	WantRecords(t, l, 15, recs[14:])
	WantRecords(t, l, 21, nil)
	WantRecords(t, l, 99, nil)
	for seq := uint64(1); seq <= 20; seq++ {
		if got, err := l.Get(ctx, seq); err != nil || !bytes.Equal(got, recs[seq-1]) {
			t.Fatalf("get %d: %q, %v", seq, got, err)
		}
	}
	_, err := l.Get(ctx, 21)
	wantErr(t, "get beyond the end", err, journal.ErrNotFound)
	if err := l.Scrub(ctx); err != nil {
		t.Fatalf("scrub: %v", err)
	}
	enough, n := errors.New("enough"), 0
	err = l.Read(ctx, 1, func(uint64, []byte) error {
		if n++; n == 3 {
			return enough
		}
		return nil
	})
	if err != enough || n != 3 {
		t.Fatalf("reading ended with %v after %d records; want %v after 3", err, n, enough)
	}
}

func logConflict(t *testing.T, s *story) {
	l := s.log(t)
	a := &Writer{Log: l}
	a.Fill(t, 3)
	b := *a // somebody else who knows as much
	b.Append(t, []byte("b"))
	_, err := l.Append(ctx, a.Last, a.Next([]byte("a")))
	wantErr(t, "append at a place that is taken", err, journal.ErrConflict)
	if rialto.KindOf(err) != rialto.Conflict {
		t.Errorf("its kind is %v, want %v", rialto.KindOf(err), rialto.Conflict)
	}
	ahead := Writer{Log: l, Last: 9, Prev: b.Prev}
	_, err = l.Append(ctx, 9, ahead.Next(nil))
	wantErr(t, "append beyond the end", err, journal.ErrConflict)
	wantBounds(t, l, 1, 4)
	b.Append(t, []byte("b again"))
}

func logWrongFrame(t *testing.T, s *story) {
	l := s.log(t)
	w := &Writer{Log: l}
	w.Fill(t, 2)
	other := journal.Frame{Shard: "other", Seq: 3, Prev: w.Prev}
	place := journal.Frame{Shard: "orders", Seq: 4, Prev: w.Prev}
	after := journal.Frame{Shard: "orders", Seq: 3, Prev: journal.Hash{1}}
	for name, rec := range map[string][]byte{
		"no frame": []byte("hello"), "of another log": other.Append(nil), "of another place": place.Append(nil), "after another record": after.Append(nil),
	} {
		if _, err := l.Append(ctx, 2, rec); err == nil || errors.Is(err, journal.ErrUnknown) {
			t.Errorf("append a record that is %s: %v", name, err)
		}
	}
	wantBounds(t, l, 1, 2)
	w.Append(t, nil)
}

func logTruncate(t *testing.T, s *story) {
	l := s.log(t)
	w := &Writer{Log: l}
	recs := w.Fill(t, 30)
	for _, before := range []uint64{0, 1, 11, 5, 11} { // not beyond what is gone is nothing to do
		if err := l.Truncate(ctx, before); err != nil {
			t.Fatalf("truncate before %d: %v", before, err)
		}
	}
	wantBounds(t, l, 11, 30)
	WantRecords(t, l, 11, recs[10:])
	_, err := l.Get(ctx, 10)
	wantErr(t, "get what was truncated", err, journal.ErrTruncated)
	first := uint64(0)
	stop := errors.New("stop")
	_ = l.Read(ctx, 1, func(seq uint64, _ []byte) error { first = seq; return stop })
	if first != 11 {
		t.Fatalf("reading from 1 begins at %d, want 11", first)
	}
	if err := l.Truncate(ctx, 32); err == nil {
		t.Fatal("a log could be truncated beyond its end")
	}
	s.reopen(t)
	l = s.log(t)
	wantBounds(t, l, 11, 30)
	if err := l.Truncate(ctx, 31); err != nil {
		t.Fatalf("truncate all: %v", err)
	}
	wantBounds(t, l, 31, 30)
	s.reopen(t)
	l = s.log(t)
	wantBounds(t, l, 31, 30)
	_, err = l.Get(ctx, 30)
	wantErr(t, "get what was truncated", err, journal.ErrTruncated)
	w.Log = l
	more := w.Fill(t, 3)
	WantRecords(t, l, 31, more)
	wantBounds(t, l, 31, 33)
}

func logReopened(t *testing.T, s *story) {
	w := &Writer{Log: s.log(t)}
	recs := w.Fill(t, 10)
	for range 2 {
		s.reopen(t)
		w.Log = s.log(t)
		WantRecords(t, w.Log, 1, recs)
		recs = append(recs, w.Fill(t, 5)...)
		WantRecords(t, w.Log, 1, recs)
	}
}

func logLarge(t *testing.T, s *story) {
	l := s.log(t)
	w := &Writer{Log: l}
	var recs [][]byte
	size := l.MaxRecord()
	for i := range 3 {
		payload := bytes.Repeat([]byte{byte(i), 7, byte(i * 3)}, size/3+1)
		recs = append(recs, w.Append(t, payload[:size-journal.FrameOverhead]))
	}
	WantRecords(t, l, 1, recs)
	got, err := l.Get(ctx, 2)
	if err != nil || !bytes.Equal(got, recs[1]) {
		t.Fatalf("get a large record: %d bytes, %v", len(got), err)
	}
	_, err = l.Append(ctx, w.Last, w.Next(make([]byte, size+1)))
	wantErr(t, "append what is too large", err, journal.ErrTooLarge)
	w.Append(t, []byte("small"))
}

func names(t *testing.T, s *story) {
	for _, name := range []string{"", "a b", "a.b", "a/b", "*", "ä", strings.Repeat("x", 49)} {
		if _, err := s.j.Log(ctx, name); rialto.KindOf(err) != rialto.Invalid {
			t.Errorf("log %q: %v", name, err)
		}
		if _, err := s.j.KV(ctx, name); rialto.KindOf(err) != rialto.Invalid {
			t.Errorf("bucket %q: %v", name, err)
		}
		if _, err := s.j.Blob(ctx, name); rialto.KindOf(err) != rialto.Invalid {
			t.Errorf("blobs %q: %v", name, err)
		}
	}
	l, err := s.j.Log(ctx, "Shard_0-"+strings.Repeat("x", 40))
	if err != nil {
		t.Fatal(err)
	}
	(&Writer{Log: l}).Fill(t, 1)
}

func kvChanges(t *testing.T, s *story) {
	kv := s.kv(t)
	_, err := kv.Get(ctx, "a")
	wantErr(t, "get what is not there", err, journal.ErrNotFound)
	r1, err := kv.Create(ctx, "a", []byte("1"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = kv.Create(ctx, "a", []byte("2"))
	wantErr(t, "create what is there", err, journal.ErrExists)
	wantEntry(t, kv, "a", "1", r1)
	r2, err := kv.Update(ctx, "a", []byte("2"), r1)
	if err != nil || r2 <= r1 {
		t.Fatalf("update: revision %d after %d, %v", r2, r1, err)
	}
	_, err = kv.Update(ctx, "a", []byte("3"), r1)
	wantErr(t, "update an old revision", err, journal.ErrConflict)
	_, err = kv.Update(ctx, "b", []byte("3"), 77)
	wantErr(t, "update what is not there", err, journal.ErrConflict)
	wantErr(t, "delete an old revision", kv.Delete(ctx, "a", r1), journal.ErrConflict)
	wantEntry(t, kv, "a", "2", r2)
	if err := kv.Delete(ctx, "a", r2); err != nil {
		t.Fatal(err)
	}
	_, err = kv.Get(ctx, "a")
	wantErr(t, "get what was deleted", err, journal.ErrNotFound)
	for range 2 {
		if err := kv.Delete(ctx, "a", 0); err != nil {
			t.Fatalf("delete what is not there: %v", err)
		}
	}
	r3, err := kv.Create(ctx, "a", []byte("again"))
	if err != nil {
		t.Fatalf("create what was deleted: %v", err)
	}
	wantEntry(t, kv, "a", "again", r3)
	r4, err := kv.Put(ctx, "a", nil)
	if err != nil {
		t.Fatal(err)
	}
	wantEntry(t, kv, "a", "", r4)
	if err := kv.Delete(ctx, "a", 0); err != nil {
		t.Fatal(err)
	}
	if r5, err := kv.Put(ctx, "a", []byte("p")); err != nil || r5 <= r4 {
		t.Fatalf("put what was deleted: %d, %v", r5, err)
	}
	_, err = kv.Put(ctx, "big", make([]byte, journal.MaxValue+1))
	wantErr(t, "put what is too large", err, journal.ErrTooLarge)
	if _, err = kv.Put(ctx, "big", make([]byte, journal.MaxValue)); err != nil {
		t.Fatalf("put the largest value: %v", err)
	}
}

func wantEntry(t *testing.T, kv journal.KV, key, value string, rev uint64) {
	t.Helper()
	e, err := kv.Get(ctx, key)
	if err != nil || e.Key != key || string(e.Value) != value || e.Rev != rev || e.Deleted {
		t.Fatalf("get %q: %+v, %v; want %q at revision %d", key, e, err, value, rev)
	}
}

func kvKeys(t *testing.T, s *story) {
	kv := s.kv(t)
	keys := []string{
		"a", "a/", "a//b", "/", "//", "/a", "a/b", "a/b/c", "ab", "a.b", "a*", ">", "a>b", " ", "é/ü", "\x00\xff", "=", "a=2Eb",
		"bus/000000000000/eu-west-1/orders/rule/paid", strings.Repeat("ö", 256), strings.Repeat("/", 512),
	}
	for _, k := range keys {
		if _, err := kv.Create(ctx, k, []byte(k)); err != nil {
			t.Fatalf("create %q: %v", k, err)
		}
	}
	for _, k := range keys {
		if e, err := kv.Get(ctx, k); err != nil || string(e.Value) != k {
			t.Errorf("get %q: %q, %v", k, e.Value, err)
		}
	}
	slices.Sort(keys)
	for _, prefix := range []string{"", "a", "a/", "a//", "a/b", "/", "//", "é", "é/", "x", "bus/000000000000/eu-west-1/", "\x00"} {
		var want []string
		for _, k := range keys {
			if strings.HasPrefix(k, prefix) {
				want = append(want, k)
			}
		}
		if got := keysOf(t, kv, prefix); !slices.Equal(got, want) {
			t.Errorf("list %q: %q, want %q", prefix, got, want)
		}
	}
	for _, k := range []string{"", strings.Repeat("x", 513)} {
		_, err := kv.Put(ctx, k, nil)
		wantErr(t, "put a key that is too short or too long", err, journal.ErrTooLarge)
	}
}

func keysOf(t *testing.T, kv journal.KV, prefix string) (keys []string) {
	t.Helper()
	list, err := kv.List(ctx, prefix)
	if err != nil {
		t.Fatalf("list %q: %v", prefix, err)
	}
	for _, e := range list {
		keys = append(keys, e.Key)
	}
	return keys
}

func kvReopened(t *testing.T, s *story) {
	kv := s.kv(t)
	revs := make(map[string]uint64)
	for round := range 3 {
		for i := range 40 {
			key := fmt.Sprintf("k/%d", i)
			if i%7 == round {
				if err := kv.Delete(ctx, key, 0); err != nil {
					t.Fatal(err)
				}
				delete(revs, key)
				continue
			}
			rev, err := kv.Put(ctx, key, fmt.Appendf(nil, "%s in round %d", key, round))
			if err != nil {
				t.Fatal(err)
			}
			revs[key] = rev
		}
		s.reopen(t)
		kv = s.kv(t)
		list, err := kv.List(ctx, "k/")
		if err != nil || len(list) != len(revs) {
			t.Fatalf("%d entries, %v; want %d", len(list), err, len(revs))
		}
		for _, e := range list {
			if e.Rev != revs[e.Key] || string(e.Value) != fmt.Sprintf("%s in round %d", e.Key, round) {
				t.Fatalf("entry %+v; want revision %d", e, revs[e.Key])
			}
		}
	}
}

func kvWatch(t *testing.T, s *story) {
	kv := s.kv(t)
	for _, k := range []string{"x/1", "x/2", "y/1"} {
		if _, err := kv.Put(ctx, k, []byte("before")); err != nil {
			t.Fatal(err)
		}
	}
	list, err := kv.List(ctx, "x/")
	if err != nil || len(list) != 2 {
		t.Fatalf("list: %v, %v", list, err)
	}
	seen := make(chan journal.Entry)
	watching, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		done <- kv.Watch(watching, "x/", list[1].Rev, func(e journal.Entry) error { seen <- e; return nil })
	}()
	want := func(key, value string, deleted bool) {
		t.Helper()
		select {
		case e := <-seen:
			if e.Key != key || string(e.Value) != value || e.Deleted != deleted {
				t.Fatalf("the watcher saw %+v; want %s %q, deleted %v", e, key, value, deleted)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("the watcher did not see %s %q", key, value)
		}
	}
	must := func(_ uint64, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(kv.Put(ctx, "x/3", []byte("new")))
	want("x/3", "new", false)
	must(kv.Put(ctx, "y/1", []byte("of no interest")))
	must(0, kv.Delete(ctx, "x/1", 0))
	want("x/1", "", true)
	must(kv.Put(ctx, "x/1", []byte("back")))
	want("x/1", "back", false)
	stop()
	if err := <-done; err != nil {
		t.Fatalf("a watch that was called off returned %v", err)
	}

	// From the beginning, every key once; an error of the function ends it.
	enough, got := errors.New("enough"), []string{}
	err = kv.Watch(ctx, "", 0, func(e journal.Entry) error {
		if got = append(got, e.Key); len(got) == 4 {
			return enough
		}
		return nil
	})
	if err != enough || !slices.Equal(got, []string{"x/2", "x/3", "y/1", "x/1"}) {
		t.Fatalf("watched %q, then %v", got, err)
	}
}

// data makes bytes that do not repeat.
func data(n int, seed string) []byte {
	b := make([]byte, 0, n+sha256.Size)
	for sum := sha256.Sum256([]byte(seed)); len(b) < n; sum = sha256.Sum256(sum[:]) {
		b = append(b, sum[:]...)
	}
	return b[:n]
}

func wantBlob(t *testing.T, b journal.Blob, name string, want []byte) {
	t.Helper()
	if got, err := b.Get(ctx, name); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("get %q: %d bytes, %v; want %d", name, len(got), err, len(want))
	}
}

func blobChanges(t *testing.T, s *story) {
	b := s.blob(t)
	_, err := b.Get(ctx, "x")
	wantErr(t, "get what is not there", err, journal.ErrNotFound)
	for _, size := range []int{0, 1, 5000, 4 << 20, 9<<20 + 17, 3} {
		want := data(size, "x")
		if err := b.Put(ctx, "shard/x", want); err != nil {
			t.Fatalf("put %d bytes: %v", size, err)
		}
		wantBlob(t, b, "shard/x", want)
	}
	if err := b.Put(ctx, "shard/y", []byte("y")); err != nil {
		t.Fatal(err)
	}
	if err := b.Put(ctx, "other", []byte("o")); err != nil {
		t.Fatal(err)
	}
	if got, err := b.List(ctx, "shard/"); err != nil || !slices.Equal(got, []string{"shard/x", "shard/y"}) {
		t.Fatalf("list: %q, %v", got, err)
	}
	for range 2 { // the second time it is not there, which is no error
		if err := b.Delete(ctx, "shard/x"); err != nil {
			t.Fatal(err)
		}
	}
	_, err = b.Get(ctx, "shard/x")
	wantErr(t, "get what was deleted", err, journal.ErrNotFound)
	wantErr(t, "put without a name", b.Put(ctx, "", nil), journal.ErrTooLarge)
}

func blobReopened(t *testing.T, s *story) {
	b := s.blob(t)
	for i := range 3 {
		if err := b.Put(ctx, "x", data(100_000, fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	s.reopen(t)
	b = s.blob(t)
	wantBlob(t, b, "x", data(100_000, "2"))
	if names, err := b.List(ctx, ""); err != nil || len(names) != 1 {
		t.Fatalf("list: %q, %v", names, err)
	}
}

func closed(t *testing.T, s *story) {
	l, kv, b := s.log(t), s.kv(t), s.blob(t)
	w := &Writer{Log: l}
	w.Fill(t, 1)
	if err := s.j.Health(); err != nil {
		t.Fatalf("health: %v", err)
	}
	watched := make(chan error, 1)
	go func() { watched <- kv.Watch(ctx, "", 0, func(journal.Entry) error { return nil }) }()
	s.close(t)
	if err := <-watched; err == nil {
		t.Error("a watch on a closed journal ended without an error")
	}
	_, err := l.Append(ctx, w.Last, w.Next(nil))
	wantErr(t, "append", err, journal.ErrClosed)
	_, _, err = l.Bounds(ctx)
	wantErr(t, "bounds", err, journal.ErrClosed)
	_, err = kv.Put(ctx, "a", nil)
	wantErr(t, "put", err, journal.ErrClosed)
	_, err = s.j.Log(ctx, "more")
	wantErr(t, "open a log", err, journal.ErrClosed)
	wantErr(t, "put a blob", b.Put(ctx, "a", nil), journal.ErrClosed)
	wantErr(t, "health", s.j.Health(), journal.ErrClosed)
}
