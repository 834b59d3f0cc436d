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
	"strings"
	"testing"

	"github.com/rialto-events/rialto/internal/journal"
)

const (
	blockFile = 8 << 20   // bytes of a file of the journal
	blobSize  = 600 << 10 // of these tests, so that a file has a dozen
)

// A blobDisk is a journal with a bucket of blobs, of which the files are looked at.
type blobDisk struct {
	journal.Blob
	t   *testing.T
	dir string
	j   journal.Journal
}

func newBlobDisk(t *testing.T) *blobDisk {
	d := &blobDisk{t: t, dir: t.TempDir()}
	d.open()
	t.Cleanup(d.close)
	return d
}

func (d *blobDisk) open() {
	d.t.Helper()
	d.j = openEmbedded(d.t, d.dir)
	var err error
	if d.Blob, err = d.j.Blob(context.Background(), "b"); err != nil {
		d.t.Fatal(err)
	}
}

func (d *blobDisk) close() {
	d.t.Helper()
	if err := d.j.Close(context.Background()); err != nil {
		d.t.Fatal(err)
	}
}

func (d *blobDisk) reopen() {
	d.t.Helper()
	d.close()
	d.open()
}

// kill goes on with a copy of the files as they are now, which is what kill -9 leaves.
func (d *blobDisk) kill() {
	d.t.Helper()
	dir := copyOf(d.t, d.dir)
	d.close()
	d.dir = dir
	d.open()
}

func noiseOf(name string) []byte {
	b := make([]byte, blobSize)
	for i, r := 0, rand.New(rand.NewPCG(uint64(len(name)), uint64(name[0])<<8|uint64(name[len(name)-1]))); i < len(b); i++ {
		b[i] = byte(r.Uint32())
	}
	return b
}

func (d *blobDisk) put(names ...string) {
	d.t.Helper()
	for _, name := range names {
		if err := d.Put(context.Background(), name, noiseOf(name)); err != nil {
			d.t.Fatal(err)
		}
	}
}

func (d *blobDisk) remove(names ...string) {
	d.t.Helper()
	for _, name := range names {
		if err := d.Delete(context.Background(), name); err != nil {
			d.t.Fatal(err)
		}
	}
}

// want checks that exactly these blobs are there, as they were put.
func (d *blobDisk) want(names ...string) {
	d.t.Helper()
	list, err := d.List(context.Background(), "")
	if err != nil || len(list) != len(names) {
		d.t.Errorf("the blobs are %q, %v, instead of %q", list, err, names)
	}
	for _, name := range names {
		if b, err := d.Get(context.Background(), name); err != nil || !bytes.Equal(b, noiseOf(name)) {
			d.t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
}

// files are the files in which the chunks are.
func (d *blobDisk) files() (names []string, size int64) {
	d.t.Helper()
	err := filepath.WalkDir(d.dir, func(path string, e fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil // the server is removing it
		}
		if err != nil || !strings.Contains(path, "rialto-blob-b") || filepath.Ext(path) != ".blk" {
			return err
		}
		if info, err := e.Info(); err == nil {
			names, size = append(names, path), size+info.Size()
		}
		return nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return names, size
}

func numbered(prefix string, n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("%s%02d", prefix, i))
	}
	return names
}

// flip changes a bit in the middle of a file.
func flip(t *testing.T, file string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestSpaceAfterDamage flips a bit in each of several files, and removes all blobs. The space is given back, although the server cannot
// remove what it cannot read.
func TestSpaceAfterDamage(t *testing.T) {
	t.Parallel()
	d := newBlobDisk(t)
	names := numbered("n", 40)
	d.put(names...)
	d.close()
	files, _ := d.files()
	if len(files) < 3 {
		t.Fatalf("%d blobs are in %d files", len(names), len(files))
	}
	for _, file := range files {
		flip(t, file)
	}
	d.open()
	lost := 0
	for _, name := range names {
		if _, err := d.Get(t.Context(), name); err != nil {
			lost++
		}
	}
	if lost != len(files) {
		t.Errorf("%d blobs are lost by %d bits", lost, len(files))
	}
	d.remove(names...)
	d.put("next")
	d.reopen()
	if _, size := d.files(); size > 2*blobSize {
		t.Errorf("%d bytes are left of blobs that were removed", size)
	}
	d.want("next")
}

// TestDamageAndKill flips a bit in the middle of a file, and kills the process after the next start. A server that has to read all files cuts that one where
// it is damaged, so blobs behind that are lost with it: those of the same file. Each of them is an error that says so, and all others are there.
func TestDamageAndKill(t *testing.T) {
	t.Parallel()
	d := newBlobDisk(t)
	names := numbered("n", 40)
	d.put(names...)
	d.close()
	files, _ := d.files()
	flip(t, files[0])
	d.open()
	lost := func() (n int) {
		t.Helper()
		for i, name := range names {
			b, err := d.Get(t.Context(), name)
			_, damaged := errors.AsType[*journal.DamageError](err)
			switch {
			case err == nil && !bytes.Equal(b, noiseOf(name)), err != nil && !damaged, err != nil && i > blockFile/blobSize:
				t.Errorf("%s: %d bytes, %v", name, len(b), err)
			case err != nil:
				n++
			}
		}
		return n
	}
	if n := lost(); n != 1 {
		t.Errorf("%d blobs are lost by a bit", n)
	}
	d.put("more")
	d.kill()
	if n := lost(); n > blockFile/blobSize {
		t.Errorf("%d blobs are lost by a bit and a kill", n)
	}
	list, err := d.List(t.Context(), "")
	if err != nil || len(list) != len(names)+1 {
		t.Errorf("%d blobs are listed, %v", len(list), err)
	}
}

// TestSpaceWithOlderBlob removes most blobs, but not the first and the last, and ends the process in the moment after: files that the server has not tidied up
// by then are not left behind.
func TestSpaceWithOlderBlob(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		end  func(*blobDisk)
	}{{"closed", (*blobDisk).reopen}, {"killed", (*blobDisk).kill}} {
		t.Run(c.name, func(t *testing.T) {
			d := newBlobDisk(t)
			d.put("old")
			for round := range 3 {
				names := numbered(fmt.Sprint("n", round, "-"), 30)
				d.put(names...)
				d.remove(names...)
				d.put("young") // the last file has something, too
				c.end(d)
				d.want("old", "young")
			}
			c.end(d)
			if _, size := d.files(); size > 3*blockFile {
				t.Errorf("%d bytes are in the files, of two blobs with %d", size, 2*blobSize)
			}
			d.want("old", "young")
		})
	}
}

// TestSpaceWhileOthersPut removes the last blob again and again while others are put: none of these is lost.
func TestSpaceWhileOthersPut(t *testing.T) {
	t.Parallel()
	d := newBlobDisk(t)
	done := make(chan error, 1)
	names := numbered("kept", 20)
	go func() {
		for _, name := range names {
			if err := d.Put(context.Background(), name, noiseOf(name)); err != nil {
				done <- err
				return
			}
			if name != names[len(names)-1] {
				if err := d.Delete(context.Background(), name); err != nil {
					done <- err
					return
				}
			}
		}
		done <- nil
	}()
	for range 40 {
		d.put("x")
		d.remove("x")
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	d.want(names[len(names)-1])
	d.reopen()
	d.want(names[len(names)-1])
}
