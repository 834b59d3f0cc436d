package journal_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/internal/journal/journaltest"
)

const volumeBytes = 48 << 20

// listener is a log handler that tells when a journal has recovered.
type listener struct{ recovered chan struct{} }

func (l listener) Enabled(context.Context, slog.Level) bool { return true }
func (l listener) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l listener) WithGroup(string) slog.Handler            { return l }
func (l listener) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "journal takes writes again" {
		l.recovered <- struct{}{}
	}
	return nil
}

func (l listener) wait(t *testing.T) {
	t.Helper()
	select {
	case <-l.recovered:
	case <-time.After(30 * time.Second):
		t.Fatal("the journal did not recover")
	}
}

// fill occupies all that is free in a folder and returns what gives it back.
func fill(t *testing.T, dir string) (release func()) {
	t.Helper()
	path := filepath.Join(dir, "ballast")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 1<<20); len(block) > 0; {
		if _, err := f.Write(block); err != nil {
			block = block[:len(block)/2]
		}
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

func openOn(t *testing.T, dir string) (journal.Journal, listener) {
	t.Helper()
	heard := listener{make(chan struct{}, 1)}
	j, err := journal.OpenEmbedded(context.Background(), dir, journal.Options{Logger: slog.New(heard)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return j, heard
}

func openWriter(t *testing.T, j journal.Journal) *journaltest.Writer {
	t.Helper()
	l, err := j.Log(context.Background(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	return &journaltest.Writer{Log: l}
}

// refused fails the test unless the error says: not now, but later.
func refused(t *testing.T, err error) {
	t.Helper()
	if rialto.KindOf(err) != rialto.Unavailable || strings.Contains(err.Error(), "no acknowledgement within") {
		t.Fatalf("a write on a full disk: %v; want unavailable, and soon", err)
	}
}

func TestDiskNearlyFull(t *testing.T) {
	ctx, dir := context.Background(), mountSmall(t)
	j, _ := openOn(t, dir)
	w := openWriter(t, j)
	recs := w.Fill(t, 5)
	release := fill(t, dir)
	for range 3 {
		_, err := w.Log.Append(ctx, w.Last, w.Next([]byte("too much")))
		refused(t, err)
		if errors.Is(err, journal.ErrUnknown) {
			t.Fatalf("the outcome should be known: %v", err)
		}
	}
	refused(t, j.Health())
	if _, err := j.KV(ctx, "new"); err == nil {
		t.Fatal("a bucket was made on a full disk")
	}
	journaltest.WantRecords(t, w.Log, 1, recs)
	release()
	if err := j.Health(); err != nil {
		t.Fatal(err)
	}
	recs = append(recs, w.Fill(t, 5)...)
	journaltest.WantRecords(t, w.Log, 1, recs)
}

// TestStartOnFullDisk starts where nothing can be written: what is there can be read, and more be written when there is room.
func TestStartOnFullDisk(t *testing.T) {
	ctx, dir := context.Background(), mountSmall(t)
	j := openEmbedded(t, dir)
	w := openWriter(t, j)
	recs := w.Fill(t, 5)
	if err := j.Close(ctx); err != nil {
		t.Fatal(err)
	}
	release := fill(t, dir)
	j, _ = openOn(t, dir)
	w.Log = openWriter(t, j).Log
	journaltest.WantRecords(t, w.Log, 1, recs)
	_, err := w.Log.Append(ctx, w.Last, w.Next(nil))
	refused(t, err)
	_, err = j.Log(ctx, "more")
	refused(t, err)
	release()
	w.Fill(t, 1)
}

// TestDiskFull lets the server run into a full disk, where it refuses writes for ever, and takes the disk's burden away.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	ctx, dir := context.Background(), mountSmall(t)
	j, heard := openOn(t, dir)
	journal.SetReserve(j, 0)
	w := openWriter(t, j)
	kv, err := j.KV(ctx, "catalog")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(ctx, "a", []byte("1")); err != nil {
		t.Fatal(err)
	}
	watching, stop := context.WithCancel(ctx)
	seen, watched := make(chan string, 100), make(chan error, 1)
	go func() {
		watched <- kv.Watch(watching, "", 0, func(e journal.Entry) error { seen <- string(e.Value); return nil })
	}()

	payload := bytes.Repeat([]byte("0123456789abcdef"), 16<<10)
	var recs [][]byte // from the sequence number first on
	first := uint64(1)
	for round := range 3 {
		recs = append(recs, w.Fill(t, 5)...)
		release := fill(t, dir)
		var pending []byte
		for {
			pending = w.Next(append(payload, byte(round)))
			if _, err = w.Log.Append(ctx, w.Last, pending); err != nil {
				break // some may still fit
			}
			recs, w.Last, w.Prev = append(recs, pending), w.Last+1, journal.HashOf(pending)
		}
		refused(t, err)
		if !errors.Is(err, journal.ErrUnknown) {
			t.Fatalf("nobody can know the outcome of a write that failed within the server: %v", err)
		}
		_, err = w.Log.Append(ctx, w.Last, pending)
		refused(t, err)
		_, err = kv.Put(ctx, "a", []byte("not now"))
		refused(t, err)
		refused(t, j.Health())
		if _, err := w.Log.Get(ctx, w.Last); err != nil {
			t.Fatalf("what was acknowledged can be read meanwhile: %v", err)
		}
		release()
		heard.wait(t)

		// The record whose fate was unknown is there or it is not; it can be appended again if it is not.
		_, err := w.Log.Append(ctx, w.Last, pending)
		if errors.Is(err, journal.ErrConflict) {
			got, gerr := w.Log.Get(ctx, w.Last+1)
			if gerr != nil || !bytes.Equal(got, pending) {
				t.Fatalf("in its place is another record: %v", gerr)
			}
			err = nil
		}
		if err != nil {
			t.Fatal(err)
		}
		recs, w.Last, w.Prev = append(recs, pending), w.Last+1, journal.HashOf(pending)
		recs = append(recs, w.Fill(t, 5)...)
		journaltest.WantRecords(t, w.Log, first, recs)
		value := string('2' + byte(round))
		if _, err := kv.Put(ctx, "a", []byte(value)); err != nil {
			t.Fatal(err)
		}
		for <-seen != value {
		}
		if err := w.Log.Truncate(ctx, w.Last-3); err != nil {
			t.Fatal(err)
		}
		recs, first = recs[w.Last-3-first:], w.Last-3
		journaltest.WantRecords(t, w.Log, first, recs)
	}
	stop()
	if err := <-watched; err != nil {
		t.Fatal(err)
	}
}

// TestQuota fills what the journal may use. Truncating gives it back.
func TestQuota(t *testing.T) {
	ctx := context.Background()
	j, err := journal.OpenEmbedded(ctx, t.TempDir(), journal.Options{MaxBytes: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close(ctx)
	w := openWriter(t, j)
	payload := make([]byte, 300<<10)
	var last []byte
	for err == nil {
		last = w.Next(payload)
		if _, err = w.Log.Append(ctx, w.Last, last); err == nil {
			w.Last, w.Prev = w.Last+1, journal.HashOf(last)
		}
	}
	refused(t, err)
	if errors.Is(err, journal.ErrUnknown) || w.Last < 10 {
		t.Fatalf("after %d records: %v", w.Last, err)
	}
	if err := w.Log.Truncate(ctx, w.Last); err != nil {
		t.Fatal(err)
	}
	w.Append(t, payload)
}

// TestQuotaFollowsDisk fills what the journal may use of a disk that has little room, and then makes room: no start is needed.
func TestQuotaFollowsDisk(t *testing.T) {
	ctx, dir := context.Background(), mountSmall(t)
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, volumeBytes-24<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	j, heard := openOn(t, dir)
	w := openWriter(t, j)
	payload := make([]byte, 300<<10)
	var recs [][]byte
	try := func() error {
		r := w.Next(payload)
		_, err := w.Log.Append(ctx, w.Last, r)
		if err == nil {
			recs, w.Last, w.Prev = append(recs, r), w.Last+1, journal.HashOf(r)
		}
		return err
	}
	var err error
	for err == nil {
		err = try()
	}
	refused(t, err)
	if errors.Is(err, journal.ErrUnknown) || !errors.Is(err, journal.ErrFull) {
		t.Fatalf("after %d records: %v", w.Last, err)
	}
	refused(t, j.Health())
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	for err != nil { // a write that is refused makes the journal look at the disk, once a second
		if err = try(); err != nil {
			refused(t, err)
		}
	}
	heard.wait(t)
	if err := j.Health(); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := try(); err != nil {
			t.Fatal(err)
		}
	}
	journaltest.WantRecords(t, w.Log, 1, recs)
}

// TestServerReplaced replaces the server under open logs, buckets, blobs and watchers.
func TestServerReplaced(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	j, heard := openOn(t, t.TempDir())
	w := openWriter(t, j)
	blobs, err := j.Blob(ctx, "snapshots")
	if err != nil {
		t.Fatal(err)
	}
	kv, err := j.KV(ctx, "catalog")
	if err != nil {
		t.Fatal(err)
	}
	seen, watched := make(chan string, 100), make(chan error, 1)
	watching, stop := context.WithCancel(ctx)
	go func() {
		watched <- kv.Watch(watching, "", 0, func(e journal.Entry) error { seen <- string(e.Value); return nil })
	}()
	var recs [][]byte
	for _, value := range []string{"one", "two", "three"} {
		recs = append(recs, w.Fill(t, 3)...)
		if _, err := kv.Put(ctx, "k", []byte(value)); err != nil {
			t.Fatal(err)
		}
		if got := <-seen; got != value {
			t.Fatalf("the watcher saw %q, want %q", got, value)
		}
		if err := blobs.Put(ctx, "b", []byte(value)); err != nil {
			t.Fatal(err)
		}
		journal.Stall(j)
		heard.wait(t)
		journaltest.WantRecords(t, w.Log, 1, recs)
		if got, err := blobs.Get(ctx, "b"); err != nil || string(got) != value {
			t.Fatalf("blob %q, %v", got, err)
		}
	}
	stop()
	if err := <-watched; err != nil {
		t.Fatal(err)
	}
}
