package journal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/internal/journal/journaltest"
)

// damageSeeds is how many stores are damaged in the ordinary tests; JOURNAL_DAMAGE_SEEDS asks for more, JOURNAL_DAMAGE_SEED
// for one.
const damageSeeds = 80

// A stored is what was acknowledged before the damage.
type stored struct {
	dir     string
	records [][]byte // of log orders, from number 51 on
	values  map[string]string
	blob    []byte
}

// TestDamage flips bits, cuts and removes files of a store that is closed, or was left behind by a process that died. What
// the journal then says is what it was told, or a DamageError; it is never less, and never something else.
func TestDamage(t *testing.T) {
	t.Parallel()
	clean, dead := store(t)
	seeds := damageSeeds
	if n, err := strconv.Atoi(os.Getenv("JOURNAL_DAMAGE_SEEDS")); err == nil {
		seeds = n
	}
	first := 0
	if n, err := strconv.Atoi(os.Getenv("JOURNAL_DAMAGE_SEED")); err == nil {
		first, seeds = n, n+1
	}
	outcomes := make(map[string]int)
	for seed := first; seed < seeds; seed++ {
		was := clean
		if seed%2 == 1 {
			was = dead
		}
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(was.dir)); err != nil {
			t.Fatal(err)
		}
		what := damage(t, dir, rand.New(rand.NewPCG(uint64(seed), 1)))
		outcome, err := inspect(t, dir, was)
		if err != nil {
			t.Errorf("seed %d: %s: %v\nrun it again with JOURNAL_DAMAGE_SEED=%d", seed, what, err, seed)
		}
		if testing.Verbose() {
			t.Logf("seed %d: %s: %s", seed, what, outcome)
		}
		outcomes[outcome]++
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	t.Log(outcomes)
	if seeds-first >= damageSeeds && (outcomes["found"] < seeds/10 || outcomes["harmless"] < seeds/10) {
		t.Errorf("of %d stores the damage was %v: the test does not hit what it should", seeds, outcomes)
	}
}

// store makes a store with several blocks and copies it twice: after an orderly end, and as kill -9 leaves it.
func store(t *testing.T) (clean, dead stored) {
	t.Helper()
	ctx, dir := context.Background(), t.TempDir()
	j, err := journal.OpenEmbedded(ctx, dir, journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := j.Log(ctx, "orders")
	if err != nil {
		t.Fatal(err)
	}
	kv, err := j.KV(ctx, "catalog")
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := j.Blob(ctx, "snapshots")
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 1))
	noise := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	is := stored{values: make(map[string]string), blob: noise(700_000)}
	w := &journaltest.Writer{Log: l}
	for i := range 180 {
		rec := w.Append(t, noise(r.IntN(160_000)))
		if i >= 50 {
			is.records = append(is.records, rec)
		}
	}
	if err := l.Truncate(ctx, 51); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		key, value := fmt.Sprintf("rule/%d", i%60), string(noise(r.IntN(3000)))
		if _, err := kv.Put(ctx, key, []byte(value)); err != nil {
			t.Fatal(err)
		}
		is.values[key] = value
	}
	for _, key := range []string{"rule/3", "rule/59"} {
		if err := kv.Delete(ctx, key, 0); err != nil {
			t.Fatal(err)
		}
		delete(is.values, key)
	}
	for _, b := range [][]byte{noise(100), is.blob} {
		if err := blobs.Put(ctx, "shard/1", b); err != nil {
			t.Fatal(err)
		}
	}
	clean, dead = is, is
	clean.dir, dead.dir = dir, copyOf(t, dir)
	if err := j.Close(ctx); err != nil {
		t.Fatal(err)
	}
	return clean, dead
}

// damage does something to one file.
func damage(t *testing.T, dir string, r *rand.Rand) (what string) {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && e.Name() != "LOCK" {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.IntN(2) == 0 { // where the data is
		files = slices.DeleteFunc(files, func(f string) bool { return filepath.Ext(f) != ".blk" })
	}
	path := files[r.IntN(len(files))]
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	name, _ := filepath.Rel(dir, path)
	switch n := r.IntN(10); {
	case n == 0 || len(b) == 0:
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		return "removed " + name
	case n == 1:
		to := r.IntN(len(b))
		what, b = fmt.Sprintf("cut %s from %d to %d bytes", name, len(b), to), b[:to]
	case n == 2:
		at := r.IntN(len(b))
		end := min(len(b), at+1+r.IntN(4096))
		clear(b[at:end])
		what = fmt.Sprintf("zeroed %s from %d to %d of %d", name, at, end, len(b))
	default:
		at, bit := r.IntN(len(b)), r.IntN(8)
		if n == 3 { // near the end, where a server expects what was torn
			at = len(b) - 1 - r.IntN(min(len(b), 200))
		}
		b[at] ^= 1 << bit
		what = fmt.Sprintf("flipped bit %d of byte %d of %d in %s", bit, at, len(b), name)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return what
}

// inspect opens the store and compares it with what it was. The outcome is "harmless" or "found"; anything else is an error.
func inspect(t *testing.T, dir string, was stored) (outcome string, err error) {
	ctx := context.Background()
	j, err := journal.OpenEmbedded(ctx, dir, journal.Options{})
	if err != nil {
		return "error", fmt.Errorf("the journal does not open: %w", err)
	}
	defer func() { err = errors.Join(err, j.Close(ctx)) }()
	outcome = "harmless"
	for _, check := range []func(context.Context, journal.Journal, stored) error{inspectLog, inspectKV, inspectBlob} {
		err := check(ctx, j, was)
		if _, ok := errors.AsType[*journal.DamageError](err); ok {
			outcome = "found"
		} else if err != nil {
			return "error", err
		}
	}
	return outcome, nil
}

func inspectLog(ctx context.Context, j journal.Journal, was stored) error {
	l, err := j.Log(ctx, "orders")
	if err != nil {
		return err
	}
	first, last, err := l.Bounds(ctx)
	if err != nil {
		return err
	}
	if first > 51 || last != 180 {
		return fmt.Errorf("the log has records %d to %d", first, last)
	}
	n := 0
	err = l.Read(ctx, 51, func(seq uint64, rec []byte) error {
		if !bytes.Equal(rec, was.records[n]) || seq != uint64(51+n) {
			return fmt.Errorf("record %d reads wrong", seq)
		}
		n++
		return nil
	})
	if err == nil && n != len(was.records) {
		err = fmt.Errorf("the log reads as %d records", n)
	}
	return err
}

func inspectKV(ctx context.Context, j journal.Journal, was stored) error {
	kv, err := j.KV(ctx, "catalog")
	if err != nil {
		return err
	}
	list, err := kv.List(ctx, "")
	if err != nil {
		return err
	}
	for _, e := range list {
		if want, ok := was.values[e.Key]; !ok || want != string(e.Value) {
			return fmt.Errorf("the entry %s reads wrong", e.Key)
		}
		if got, err := kv.Get(ctx, e.Key); err != nil || got.Rev != e.Rev {
			return fmt.Errorf("get %s: %w", e.Key, err)
		}
	}
	if len(list) != len(was.values) {
		return fmt.Errorf("the bucket has %d entries", len(list))
	}
	return nil
}

func inspectBlob(ctx context.Context, j journal.Journal, was stored) error {
	b, err := j.Blob(ctx, "snapshots")
	if err != nil {
		return err
	}
	names, err := b.List(ctx, "")
	if err != nil {
		return err
	}
	if !slices.Equal(names, []string{"shard/1"}) {
		return fmt.Errorf("the blobs are %q", names)
	}
	got, err := b.Get(ctx, "shard/1")
	if err == nil && !bytes.Equal(got, was.blob) {
		err = errors.New("the blob reads wrong")
	}
	return err
}

// TestScrub damages the beginning of a log that is too large to be read when it is opened, after it was opened.
func TestScrub(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	j, err := journal.OpenEmbedded(ctx, dir, journal.Options{Relaxed: true})
	if err != nil {
		t.Fatal(err)
	}
	w := openWriter(t, j)
	payload := make([]byte, 3<<20)
	for range 25 {
		w.Append(t, payload)
	}
	if err := j.Close(ctx); err != nil {
		t.Fatal(err)
	}
	j = openEmbedded(t, dir)
	defer j.Close(ctx)
	l, err := j.Log(ctx, "orders")
	if err != nil {
		t.Fatal(err)
	}
	block := filepath.Join(dir, "jetstream", "$G", "streams", "rialto-log-orders", "msgs", "1.blk")
	f, err := os.OpenFile(block, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("damage"), 4<<20); err != nil { // within record 2
		t.Fatal(err)
	}
	wantDamage(t, l.Scrub(ctx), "log orders", 2, 2)
	_, err = l.Get(ctx, 2)
	wantDamage(t, err, "log orders", 2, 2)
	read := uint64(0)
	err = l.Read(ctx, 1, func(seq uint64, _ []byte) error { read = seq; return nil })
	wantDamage(t, err, "log orders", 2, 2)
	if read != 1 {
		t.Errorf("read up to %d, want 1", read)
	}
	if rec, err := l.Get(ctx, 25); err != nil || !bytes.Equal(rec[len(rec)-16:], w.Prev[:]) {
		t.Errorf("the last record: %v", err)
	}
}
