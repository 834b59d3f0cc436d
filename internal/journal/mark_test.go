package journal

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rialto-events/rialto"
)

// handClock is moved by hand.
type handClock struct {
	rialto.Clock
	now time.Time
}

func (c *handClock) Now() time.Time { return c.now }

func newFileMark(t *testing.T) *fileMark {
	t.Helper()
	m := &fileMark{path: filepath.Join(t.TempDir(), "log.mark"), clock: &handClock{now: time.Unix(1000, 0)}}
	t.Cleanup(func() { _ = m.close(context.Background()) })
	return m
}

// wantStored fails the test unless whoever opens the mark next finds want.
func wantStored(t *testing.T, m *fileMark, want mark, wantErr error) {
	t.Helper()
	next := &fileMark{path: m.path, clock: m.clock}
	if got, err := next.load(context.Background()); got != want || err != wantErr {
		t.Fatalf("stored is %+v, %v; want %+v, %v", got, err, want, wantErr)
	}
}

func TestFileMark(t *testing.T) {
	ctx := context.Background()
	m := newFileMark(t)
	wantStored(t, m, mark{}, errNoMark)
	if err := m.pin(ctx, mark{first: 1}); err != nil {
		t.Fatal(err)
	}
	wantStored(t, m, mark{first: 1}, nil)
	var was, is mark
	for n := range uint64(5) {
		was, is = is, mark{first: 1, last: n, hash: Hash{byte(n)}, delta: Hash{7}}
		if err := m.keep(ctx, is); err != nil {
			t.Fatal(err)
		}
		wantStored(t, m, is, nil)
	}
	// The younger slot is torn: the older one holds.
	b, err := os.ReadFile(m.path)
	if err != nil {
		t.Fatal(err)
	}
	b[m.count%2*slotSize+20] ^= 1
	if err := os.WriteFile(m.path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	wantStored(t, m, was, nil)
	b[(m.count+1)%2*slotSize+20] ^= 1
	if err := os.WriteFile(m.path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	wantStored(t, m, mark{}, errMarkDamaged)
}

// TestFileMarkGoesOn has a successor write where the predecessor stopped: the younger slot must stay the younger.
func TestFileMarkGoesOn(t *testing.T) {
	ctx := context.Background()
	m := newFileMark(t)
	for n := range uint64(7) {
		next := &fileMark{path: m.path, clock: m.clock}
		if _, err := next.load(ctx); n > 0 && err != nil {
			t.Fatal(err)
		}
		if err := next.keep(ctx, mark{last: n}); err != nil {
			t.Fatal(err)
		}
		if err := next.close(ctx); err != nil {
			t.Fatal(err)
		}
		wantStored(t, m, mark{last: n}, nil)
	}
}

// TestFileMarkLag holds back what the log itself may lose, but not what is truncated.
func TestFileMarkLag(t *testing.T) {
	ctx := context.Background()
	m := newFileMark(t)
	clock := m.clock.(*handClock)
	m.lag = 5 * time.Second
	if err := m.pin(ctx, mark{first: 1}); err != nil {
		t.Fatal(err)
	}
	keep := func(after time.Duration, last uint64) {
		t.Helper()
		clock.now = clock.now.Add(after)
		if err := m.keep(ctx, mark{first: 1, last: last}); err != nil {
			t.Fatal(err)
		}
	}
	keep(0, 1)
	keep(time.Second, 2)
	wantStored(t, m, mark{first: 1, late: true}, nil)
	keep(4*time.Second, 3)
	wantStored(t, m, mark{first: 1, last: 1, late: true}, nil)
	keep(5*time.Second, 4)
	wantStored(t, m, mark{first: 1, last: 3, late: true}, nil)
	if err := m.pin(ctx, mark{first: 4, last: 4}); err != nil {
		t.Fatal(err)
	}
	wantStored(t, m, mark{first: 4, last: 3, late: true}, nil)
	if err := m.close(ctx); err != nil {
		t.Fatal(err)
	}
	wantStored(t, m, mark{first: 4, last: 4}, nil)
}

// TestFileMarkIsMadeWhole leaves no mark behind that cannot be made.
func TestFileMarkIsMadeWhole(t *testing.T) {
	m := newFileMark(t)
	if err := os.Mkdir(m.path+".new", 0o700); err != nil { // in the way of the new file
		t.Fatal(err)
	}
	if err := m.pin(context.Background(), mark{first: 1}); err == nil {
		t.Fatal("the mark was made where it could not be")
	}
	wantStored(t, m, mark{}, errNoMark)
	if _, err := os.Stat(m.path); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("a file is left: %v", err)
	}
}

// TestMarkAfterFailedWrite lets a write fail: the next one goes into the same slot, since the other has the only good mark.
func TestMarkAfterFailedWrite(t *testing.T) {
	ctx, m := t.Context(), newFileMark(t)
	for n := range uint64(3) {
		if err := m.keep(ctx, mark{last: n + 1}); err != nil {
			t.Fatal(err)
		}
	}
	file := m.file
	readOnly, err := os.Open(m.path)
	if err != nil {
		t.Fatal(err)
	}
	defer readOnly.Close()
	m.file = readOnly
	if err := m.keep(ctx, mark{last: 4}); err == nil {
		t.Fatal("the write did not fail")
	}
	m.file = file
	if err := m.keep(ctx, mark{last: 5}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(m.path)
	if err != nil {
		t.Fatal(err)
	}
	a, _, _ := readMark(b)
	c, _, _ := readMark(b[slotSize:])
	if got := [2]uint64{min(a.last, c.last), max(a.last, c.last)}; got != [2]uint64{3, 5} {
		t.Errorf("the slots have the marks of %v, want 3 and 5", got)
	}
}
