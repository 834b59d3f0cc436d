package history

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/target"
)

// A disk is a Service on the real journal, which can be closed and opened again.
type disk struct {
	*Service
	t   *testing.T
	dir string
	cat *catalog.Catalog
	log *fakeLog
	j   journal.Journal
}

func newDisk(t *testing.T, archives ...*catalog.Archive) *disk {
	d := &disk{t: t, dir: t.TempDir(), cat: openCatalog(t, archives...), log: newFakeLog(1)}
	d.open()
	t.Cleanup(d.close)
	return d
}

func (d *disk) open() {
	d.t.Helper()
	var err error
	if d.j, err = journal.OpenEmbedded(d.t.Context(), d.dir, journal.Options{}); err != nil {
		d.t.Fatal(err)
	}
	kv, err1 := d.j.KV(d.t.Context(), "history")
	blobs, err2 := d.j.Blob(d.t.Context(), "history")
	s, err3 := Open(d.t.Context(), kv, blobs, d.cat, Options{Clock: &fakeClock{now: testStart}})
	if err := errors.Join(err1, err2, err3); err != nil {
		d.t.Fatal(err)
	}
	s.Attach(d.log)
	d.Service = s
}

func (d *disk) close() {
	d.t.Helper()
	if err := d.j.Close(context.WithoutCancel(d.t.Context())); err != nil {
		d.t.Fatal(err)
	}
}

// fill seals a segment of events that do not shrink.
func (d *disk) fill(archive string, from time.Time, n int) {
	d.t.Helper()
	random := rand.New(rand.NewPCG(uint64(from.Unix()), 1))
	for i := range n {
		noise := make([]byte, 3000)
		for i := range noise {
			noise[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"[random.IntN(64)]
		}
		r := d.log.accept(0, testEvent(i, from.Add(time.Duration(i)*time.Second), testStart, string(noise)))
		d.Retain(&target.Definition{ARN: testArchive(archive, 0).StoreARN(testScope)}, []deliver.Retained{r})
	}
	if err := d.Flush(d.t.Context(), archive+"-id"); err != nil {
		d.t.Fatal(err)
	}
}

// blobFiles are the files in which the journal keeps segments.
func (d *disk) blobFiles() (files []string, bytes int64) {
	d.t.Helper()
	err := filepath.WalkDir(d.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !strings.Contains(path, "rialto-blob-history") || filepath.Ext(path) != ".blk" {
			return err
		}
		info, err := e.Info()
		if err == nil {
			files, bytes = append(files, path), bytes+info.Size()
		}
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return files, bytes
}

// TestDeletionGivesSpaceBack looks at the disk.
func TestDeletionGivesSpaceBack(t *testing.T) {
	d := newDisk(t, testArchive("kept", 0), testArchive("other", 0))
	d.fill("other", testStart, 100)
	for i := range 20 {
		d.fill("kept", testStart.Add(time.Duration(i)*time.Hour), 1000)
	}
	d.close()
	d.open()
	if _, bytes := d.blobFiles(); bytes < 40<<20 {
		t.Fatalf("20,100 events that do not shrink take %d bytes", bytes)
	}
	if total, err := d.Count(t.Context(), "kept-id"); err != nil || total.Events != 20_000 {
		t.Errorf("%d events are there after a restart, %v", total.Events, err)
	}
	d.follow("", testArchive("kept", 0), nil)
	if err := d.Delete(t.Context(), "kept-id"); err != nil {
		t.Fatal(err)
	}
	d.close()
	d.open()
	if _, bytes := d.blobFiles(); bytes > 17<<20 { // the journal's files have 8 MiB, and two of them have something that is needed
		t.Errorf("an archive is deleted, and %d bytes are left of another one with 100 events", bytes)
	}
	if list, err := collect(d.Read(t.Context(), "other-id", Window{}, Position{}), 0); err != nil || len(list) != 100 {
		t.Errorf("%d events of the other archive are left, %v", len(list), err)
	}
}

// TestRetentionGivesSpaceBack looks at the disk when an archive's events have become too old.
func TestRetentionGivesSpaceBack(t *testing.T) {
	d := newDisk(t, testArchive("kept", 1))
	for i := range 10 {
		d.fill("kept", testStart.Add(time.Duration(i)*time.Hour), 1000)
	}
	_, before := d.blobFiles()
	d.opts.Clock.(*fakeClock).now = testStart.Add(26 * time.Hour)
	if total, err := d.Count(t.Context(), "kept-id"); err != nil || total.Events != 0 {
		t.Errorf("%d events of yesterday are counted, %v", total.Events, err)
	}
	d.proven.Store(true)
	if err := d.stores["kept-id"].expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.close()
	d.open()
	if _, after := d.blobFiles(); before < 20<<20 || after > 9<<20 { // the journal's files have 8 MiB
		t.Errorf("10,000 events took %d bytes, and now that they are too old %d", before, after)
	}
}

// TestAFlippedBitOnTheDiskIsNamed changes a byte of a segment where the journal keeps it. The segment is named, and the others are read.
func TestAFlippedBitOnTheDiskIsNamed(t *testing.T) {
	d := newDisk(t, testArchive("kept", 0))
	for i := range 3 {
		d.fill("kept", testStart.Add(time.Duration(i)*time.Hour), 300)
	}
	d.close()
	files, _ := d.blobFiles()
	if len(files) != 1 {
		t.Fatalf("the segments are in %d files", len(files))
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1 // of three segments of one size, it is the second
	if err := os.WriteFile(files[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	d.open()
	list, err := collect(d.Read(t.Context(), "kept-id", Window{}, Position{}), 0)
	damage, ok := errors.AsType[*DamageError](err)
	if !ok || damage.Archive != "kept" || damage.Events != 300 || !damage.From.Equal(testStart.Add(time.Hour)) {
		t.Errorf("the damage is reported as %v", err)
	}
	if len(list) != 600 {
		t.Errorf("%d of the 600 other events are read", len(list))
	}
}
