package journal_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/internal/journal/journaltest"
)

// BenchmarkAppend appends to the journal, and writes and syncs the same bytes to a plain file on the same disk.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1 << 10, 250 << 10} {
		payload := make([]byte, size)
		b.Run(fmt.Sprintf("journal/%dKB", size>>10), func(b *testing.B) {
			w := benchWriter(b, journal.Options{})
			b.SetBytes(int64(size))
			for b.Loop() {
				w.Append(b, payload)
			}
		})
		b.Run(fmt.Sprintf("file/%dKB", size>>10), func(b *testing.B) {
			f, err := os.Create(filepath.Join(b.TempDir(), "file"))
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			b.SetBytes(int64(size))
			for b.Loop() {
				if _, err := f.Write(payload); err != nil {
					b.Fatal(err)
				}
				if err := f.Sync(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRead reads a log, checks included.
func BenchmarkRead(b *testing.B) {
	for _, c := range []struct{ size, records int }{{1 << 10, 32 << 10}, {250 << 10, 1 << 10}} {
		size, n := c.size, c.records
		b.Run(fmt.Sprintf("%dKB", size>>10), func(b *testing.B) {
			w := benchWriter(b, journal.Options{Relaxed: true})
			payload := make([]byte, size)
			for range n {
				w.Append(b, payload)
			}
			b.SetBytes(int64(n * size))
			for b.Loop() {
				if err := w.Log.Scrub(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkOpen starts and stops an empty journal.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	for b.Loop() {
		j, err := journal.OpenEmbedded(context.Background(), dir, journal.Options{})
		if err != nil {
			b.Fatal(err)
		}
		if err := j.Close(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

func benchWriter(b *testing.B, opts journal.Options) *journaltest.Writer {
	b.Helper()
	j, err := journal.OpenEmbedded(context.Background(), b.TempDir(), opts)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { j.Close(context.Background()) })
	l, err := j.Log(context.Background(), "orders")
	if err != nil {
		b.Fatal(err)
	}
	return &journaltest.Writer{Log: l}
}
