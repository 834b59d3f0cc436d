package journal_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/internal/journal/journaltest"
)

func wantDamage(t *testing.T, err error, log string, first, last uint64) {
	t.Helper()
	d, ok := errors.AsType[*journal.DamageError](err)
	if !ok || d.Log != log || d.First != first || d.Last != last {
		t.Fatalf("got %v; want damage of %s in %d to %d", err, log, first, last)
	}
}

func openEmbedded(t *testing.T, dir string) journal.Journal {
	t.Helper()
	j, err := journal.OpenEmbedded(context.Background(), dir, journal.Options{})
	if err != nil {
		t.Fatalf("open the journal: %v", err)
	}
	return j
}

// TestMain also plays the other process of TestKill.
func TestMain(m *testing.M) {
	if dir := os.Getenv("JOURNAL_TEST_WRITE_TO"); dir != "" {
		writeUntilKilled(dir)
	}
	os.Exit(m.Run())
}

func TestOneProcessAtATime(t *testing.T) {
	dir := t.TempDir()
	j := openEmbedded(t, dir)
	_, err := journal.OpenEmbedded(context.Background(), dir, journal.Options{})
	if rialto.KindOf(err) != rialto.Unavailable || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("opened twice: %v; want an error with the folder and the process id", err)
	}
	if err := j.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := openEmbedded(t, dir).Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestCloseLeavesNothingRunning(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	ctx := context.Background()
	j := openEmbedded(t, t.TempDir())
	w := openWriter(t, j)
	w.Fill(t, 3)
	kv, err := j.KV(ctx, "catalog")
	if err != nil {
		t.Fatal(err)
	}
	watched := make(chan error)
	go func() { watched <- kv.Watch(ctx, "", 0, func(journal.Entry) error { return nil }) }()
	if _, err := kv.Put(ctx, "a", nil); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := j.Close(ctx); err != nil {
			t.Fatal(err)
		}
	}
	<-watched
}

func TestFolderThatCannotBeUsed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := journal.OpenEmbedded(context.Background(), file, journal.Options{}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file as the folder: %v", err)
	}
	if _, err := journal.OpenEmbedded(context.Background(), t.TempDir(), journal.Options{Replicas: 3}); rialto.KindOf(err) != rialto.Invalid {
		t.Errorf("three replicas: %v", err)
	}
}

// writeUntilKilled appends records and says which are acknowledged.
func writeUntilKilled(dir string) {
	ctx := context.Background()
	j, err := journal.OpenEmbedded(ctx, dir, journal.Options{})
	if err != nil {
		panic(err)
	}
	l, err := j.Log(ctx, "orders")
	if err != nil {
		panic(err)
	}
	kv, err := j.KV(ctx, "catalog")
	if err != nil {
		panic(err)
	}
	w := &journaltest.Writer{Log: l}
	err = l.Read(ctx, 1, func(seq uint64, rec []byte) error {
		w.Last, w.Prev = seq, journal.HashOf(rec)
		return nil
	})
	if err != nil {
		panic(err)
	}
	for {
		rec := w.Next([]byte(strings.Repeat("x", int(w.Last%5000))))
		if _, err := l.Append(ctx, w.Last, rec); err != nil {
			panic(err)
		}
		w.Last, w.Prev = w.Last+1, journal.HashOf(rec)
		if _, err := kv.Put(ctx, "key/"+strconv.FormatUint(w.Last%10, 10), []byte(strconv.FormatUint(w.Last, 10))); err != nil {
			panic(err)
		}
		os.Stdout.WriteString(strconv.FormatUint(w.Last, 10) + "\n")
	}
}

// TestKill kills a process with -9 while it writes. Everything it said to be acknowledged is there.
func TestKill(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	for round := range 4 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "JOURNAL_TEST_WRITE_TO="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		acked := lastLine(t, out, 40+30*round, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		j := openEmbedded(t, dir)
		l, err := j.Log(ctx, "orders")
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		kv, err := j.KV(ctx, "catalog")
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if _, last, err := l.Bounds(ctx); err != nil || last < acked || last > acked+1 {
			t.Fatalf("round %d: the last record is %d, %v; acknowledged was %d", round, last, err, acked)
		}
		e, err := kv.Get(ctx, "key/"+strconv.FormatUint(acked%10, 10))
		if err != nil || string(e.Value) != strconv.FormatUint(acked, 10) {
			t.Fatalf("round %d: the entry of record %d is %q, %v", round, acked, e.Value, err)
		}
		if err := l.Scrub(ctx); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if err := j.Close(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// lastLine reads numbers, a line each, calls enough after so many, and returns the last that is whole.
func lastLine(t *testing.T, r interface{ Read([]byte) (int, error) }, lines int, enough func()) (last uint64) {
	t.Helper()
	var all []byte
	buf, called := make([]byte, 4096), false
	for {
		n, err := r.Read(buf)
		all = append(all, buf[:n]...)
		if !called && strings.Count(string(all), "\n") >= lines {
			enough()
			called = true
		}
		if err != nil {
			break
		}
	}
	whole := strings.Split(string(all), "\n")
	if len(whole) < 2 {
		t.Fatal("the other process wrote nothing")
	}
	last, err := strconv.ParseUint(whole[len(whole)-2], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return last
}

// copyOf copies a folder whose server runs, as kill -9 would leave it.
func copyOf(t *testing.T, dir string) (dead string) {
	t.Helper()
	// The server removes truncated messages beside us; a file that goes while the folder is copied means that it is copied again.
	err := fs.ErrNotExist
	for tries := 0; errors.Is(err, fs.ErrNotExist) && tries < 100; tries++ {
		dead = t.TempDir()
		err = os.CopyFS(dead, os.DirFS(dir))
	}
	if err != nil {
		t.Fatal(err)
	}
	return dead
}

// withoutIndex copies a folder as kill -9 leaves it, and takes the indexes of the server away.
func withoutIndex(t *testing.T, dir string) (dead string) {
	t.Helper()
	dead = copyOf(t, dir)
	indexes, err := filepath.Glob(filepath.Join(dead, "jetstream", "*", "streams", "*", "msgs", "index.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range indexes {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	return dead
}

// TestTruncatedWithoutIndex lets the process die after a log was truncated, in part and altogether.
func TestTruncatedWithoutIndex(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	j := openEmbedded(t, dir)
	defer func() { j.Close(ctx) }()
	w := openWriter(t, j)
	recs := w.Fill(t, 30)
	for _, before := range []uint64{11, 34} { // of the first 30, and of all 33
		if err := w.Log.Truncate(ctx, before); err != nil {
			t.Fatal(err)
		}
		dead := withoutIndex(t, dir)
		if err := j.Close(ctx); err != nil {
			t.Fatal(err)
		}
		j = openEmbedded(t, dead)
		dir, w.Log = dead, openWriter(t, j).Log
		recs = append(recs, w.Fill(t, 3)...)
		journaltest.WantRecords(t, w.Log, before, recs[before-1:])
	}
}

// TestDeletedStaysDeleted lets the process die and the server lose its index, so that it has to look for the last of each
// key.
func TestDeletedStaysDeleted(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	j := openEmbedded(t, dir)
	defer j.Close(ctx)
	kv, err := j.KV(ctx, "catalog")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		key := "key/" + strconv.Itoa(i)
		for _, value := range []string{"first", "second"} {
			if _, err := kv.Put(ctx, key, []byte(value)); err != nil {
				t.Fatal(err)
			}
		}
		if i%2 == 0 {
			if err := kv.Delete(ctx, key, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := kv.Create(ctx, "key/0", []byte("back")); err != nil {
		t.Fatal(err)
	}
	want, err := kv.List(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	dead := withoutIndex(t, dir)
	j = openEmbedded(t, dead)
	defer j.Close(ctx)
	if kv, err = j.KV(ctx, "catalog"); err != nil {
		t.Fatal(err)
	}
	got, err := kv.List(ctx, "")
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("list: %v (-want +got):\n%s", err, d)
	}
}

// TestRelaxedDies lets the process of a relaxed journal die: everything is there, though the marks are late.
func TestRelaxedDies(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	j, err := journal.OpenEmbedded(ctx, dir, journal.Options{Relaxed: true})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close(ctx)
	kv, err := j.KV(ctx, "catalog")
	if err != nil {
		t.Fatal(err)
	}
	w := openWriter(t, j)
	var recs [][]byte
	for changes := range 4 { // one change, and more than one
		for i := range changes {
			if _, err := kv.Put(ctx, "key/"+strconv.Itoa(i), []byte(strconv.Itoa(changes))); err != nil {
				t.Fatal(err)
			}
		}
		recs = append(recs, w.Fill(t, changes)...)
		dead := openEmbedded(t, withoutIndex(t, dir))
		list, err := func() ([]journal.Entry, error) {
			kv, err := dead.KV(ctx, "catalog")
			if err != nil {
				return nil, err
			}
			return kv.List(ctx, "")
		}()
		if err != nil || len(list) != changes {
			t.Fatalf("after %d changes: %v, %v", changes, list, err)
		}
		journaltest.WantRecords(t, openWriter(t, dead).Log, 1, recs)
		if err := dead.Close(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOpenSideBySide opens everything at once, some of it twice: what has one name is one, before and after a restart.
func TestOpenSideBySide(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		j, err := journal.OpenEmbedded(t.Context(), dir, journal.Options{})
		if err != nil {
			t.Fatal(err)
		}
		const names, times = 3, 4
		var opened [names * times]struct {
			log  journal.Log
			kv   journal.KV
			blob journal.Blob
		}
		var all sync.WaitGroup
		for i := range opened {
			o, name := &opened[i], fmt.Sprint("side-", i%names)
			note := func(err error) {
				if err != nil {
					t.Errorf("open %s: %v", name, err)
				}
			}
			all.Go(func() {
				var err error
				o.log, err = j.Log(t.Context(), name)
				note(err)
			})
			all.Go(func() {
				var err error
				o.kv, err = j.KV(t.Context(), name)
				note(err)
			})
			all.Go(func() {
				var err error
				o.blob, err = j.Blob(t.Context(), name)
				note(err)
			})
		}
		all.Wait()
		for i := range opened {
			for k := range opened {
				if same := i%names == k%names; (opened[i].log == opened[k].log) != same || (opened[i].kv == opened[k].kv) != same ||
					(opened[i].blob == opened[k].blob) != same {
					t.Errorf("the openings %d and %d of the names %d and %d are the same, or are not", i, k, i%names, k%names)
				}
			}
		}
		if err := j.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
