package history

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/target"
)

// A rig is a Service without faults, over a fakeLog.
type rig struct {
	*Service
	t     *testing.T
	clock *fakeClock
	log   *fakeLog
	blobs *spoiledBlobs
	sim   *journal.Sim
	cat   *catalog.Catalog
	put   int
}

// spoiledBlobs change bytes of blobs that are read.
type spoiledBlobs struct {
	journal.Blob
	spoil map[string]func([]byte) ([]byte, error)
}

func (b *spoiledBlobs) Get(ctx context.Context, name string) ([]byte, error) {
	data, err := b.Blob.Get(ctx, name)
	if spoil := b.spoil[name]; spoil != nil && err == nil {
		return spoil(bytes.Clone(data))
	}
	return data, err
}

func newRig(t *testing.T, archives ...*catalog.Archive) *rig {
	r := &rig{
		t: t, clock: &fakeClock{now: testStart}, log: newFakeLog(2), sim: journal.NewSim(1, journal.SimFaults{}), cat: openCatalog(t, archives...),
	}
	r.start()
	return r
}

func (r *rig) start() {
	r.t.Helper()
	proc := r.sim.Open()
	kv, err1 := proc.KV(r.t.Context(), "history")
	blobs, err2 := proc.Blob(r.t.Context(), "history")
	r.blobs = &spoiledBlobs{Blob: blobs, spoil: make(map[string]func([]byte) ([]byte, error))}
	s, err3 := Open(r.t.Context(), kv, r.blobs, r.cat, Options{Clock: r.clock})
	if err := errors.Join(err1, err2, err3); err != nil {
		r.t.Fatal(err)
	}
	s.Attach(r.log)
	r.Service = s
}

// accept accepts an event for archives.
func (r *rig) accept(at time.Time, detail string, archives ...string) string {
	e := testEvent(r.put, at, r.clock.now, detail)
	r.put++
	shard := uint32(r.put % 2)
	got := r.log.accept(shard, e)
	for _, name := range archives {
		r.Retain(&target.Definition{ARN: testArchive(name, 0).StoreARN(testScope)}, []deliver.Retained{got})
	}
	return e.EventID
}

func (r *rig) flush(archive string) {
	r.t.Helper()
	if err := r.Flush(r.t.Context(), archive); err != nil {
		r.t.Fatal(err)
	}
}

// ids are those of the events that are read, and the first error.
func (r *rig) ids(archive string, w Window) (string, error) {
	var ids []string
	var first error
	for e, err := range r.Read(r.t.Context(), archive, w, Position{}) {
		if err != nil {
			if first == nil {
				first = err
			}
			continue
		}
		ids = append(ids, strings.TrimPrefix(strings.Trim(string(idOf(e.Event)), `"`), "event-"))
	}
	return strings.Join(ids, " "), first
}

func (r *rig) want(archive string, w Window, want string) {
	r.t.Helper()
	if got, err := r.ids(archive, w); err != nil || got != want {
		r.t.Errorf("%s has the events %q, %v, instead of %q", archive, got, err, want)
	}
}

func (r *rig) count(archive string) int64 {
	r.t.Helper()
	t, err := r.Count(r.t.Context(), archive)
	if err != nil {
		r.t.Fatal(err)
	}
	return t.Events
}

func TestWindows(t *testing.T) {
	r := newRig(t, testArchive("kept", 0), testArchive("other", 0))
	at := func(seconds int) time.Time { return testStart.Add(time.Duration(seconds) * time.Second) }
	for _, second := range []int{5, 3, 3, 9, 1} { // events 0 to 4
		r.accept(at(second), "", "kept")
	}
	r.flush("kept")
	r.accept(at(4), "", "kept", "other") // 5, in a segment of its own
	r.clock.now = testStart.Add(time.Minute)
	r.accept(at(3), "", "kept") // 6, accepted later
	r.want("kept", Window{}, "4 1 2 0 3")
	r.flush("kept")
	r.want("kept", Window{}, "4 1 2 6 5 0 3")
	r.want("other", Window{}, "")
	r.flush("other")
	r.want("other", Window{}, "5")
	r.want("kept", Window{From: at(3)}, "1 2 6 5 0 3")
	r.want("kept", Window{To: at(5)}, "4 1 2 6 5")
	r.want("kept", Window{From: at(3), To: at(4)}, "1 2 6")
	r.want("kept", Window{Before: testStart.Add(time.Second)}, "4 1 2 5 0 3")
	r.want("kept", Window{Since: testStart.Add(time.Second)}, "6")
	r.want("kept", Window{Since: testStart, Before: testStart.Add(time.Minute)}, "4 1 2 5 0 3")
	r.want("kept", Window{From: at(10)}, "")
	if _, err := r.ids("nobody", Window{}); rialto.KindOf(err) != rialto.NotFound {
		t.Errorf("an archive that is not there is read with %v", err)
	}
	total, err := r.Tally(t.Context(), "kept-id", Window{From: at(3), To: at(5)}, nil)
	if err != nil || total.Events != 4 {
		t.Errorf("%d events are counted, %v", total.Events, err)
	}
}

func (r *rig) Read(ctx context.Context, archive string, w Window, after Position) func(func(Entry, error) bool) {
	return r.Service.Read(ctx, archive+"-id", w, after)
}

func (r *rig) Flush(ctx context.Context, archive string) error {
	return r.Service.Flush(ctx, archive+"-id")
}

func (r *rig) Count(ctx context.Context, archive string) (Total, error) {
	return r.Service.Count(ctx, archive+"-id")
}

// TestRetention lets events get old: they are neither counted nor read any more, and once a whole segment is old, its space is given back.
func TestRetention(t *testing.T) {
	r := newRig(t, testArchive("kept", 1))
	for hour := range 6 {
		r.clock.now = testStart.Add(time.Duration(hour) * time.Hour)
		r.accept(testStart, "", "kept")
		if hour%3 == 2 {
			r.flush("kept") // two segments
		}
	}
	for hour := 24; hour <= 31; hour++ { // after the first was accepted
		r.clock.now = testStart.Add(time.Duration(hour)*time.Hour + 30*time.Minute)
		old := max(0, min(6, hour-24)) // these are more than a day and an hour old
		want := []string{"0", "1", "2", "3", "4", "5"}[old:]
		r.want("kept", Window{}, strings.Join(want, " "))
		if n := r.count("kept"); n != int64(len(want)) {
			t.Errorf("after %d hours %d events are counted instead of %d", hour, n, len(want))
		}
		r.tend(t.Context())
		names, err := r.blobs.List(t.Context(), "")
		if left := (8 - old) / 3; err != nil || len(names) != min(2, left) {
			t.Errorf("after %d hours %d segments are there, %v", hour, len(names), err)
		}
	}
	r.start()
	if n := r.count("kept"); n != 0 {
		t.Errorf("%d events come back after a restart", n)
	}
}

// TestClockFarAhead starts with a clock that is ten years ahead, until somebody puts it right. Nothing is lost by that. Nor do segments that are merged
// meanwhile lose anything. A clock that goes on is believed.
func TestClockFarAhead(t *testing.T) {
	r := newRig(t, testArchive("kept", 1))
	for i := range mergeWidth {
		r.accept(testStart.Add(time.Duration(i)*time.Second), "", "kept")
		r.flush("kept")
	}
	r.clock.now = testStart.AddDate(10, 0, 0)
	r.start()
	for range 2 {
		r.tend(t.Context())
		if n := r.count("kept"); n != 0 {
			t.Errorf("%d events of ten years ago are counted", n)
		}
		r.clock.now = r.clock.now.Add(clockProven - time.Second)
	}
	r.clock.now = testStart.Add(time.Hour)
	if n := r.count("kept"); n != mergeWidth {
		t.Errorf("of %d events %d are left of a clock that was wrong", mergeWidth, n)
	}
	r.want("kept", Window{}, "0 1 2 3 4 5 6 7")
	for range 2 {
		r.clock.now = r.clock.now.AddDate(0, 0, 2)
		r.tend(t.Context())
	}
	if names, err := r.blobs.List(t.Context(), ""); err != nil || len(names) > 0 {
		t.Errorf("%d segments are left after four days, %v", len(names), err)
	}
}

// TestEdge cuts an archive: what comes later is not before the edge, also if clocks say that it is, and if it is merged with what was there.
func TestEdge(t *testing.T) {
	r := newRig(t, testArchive("kept", 0))
	for i := range 3 {
		r.accept(testStart.Add(time.Duration(i)*time.Second), "", "kept") // 0 to 2
	}
	edge, has, err := r.Cut(t.Context(), "kept-id", Window{From: testStart.Add(time.Second)})
	if err != nil || has.Events != 2 {
		t.Errorf("%d events of the window are counted, %v", has.Events, err)
	}
	r.clock.now = testStart.Add(-time.Hour) // the clock is set back
	for range mergeWidth {
		r.accept(testStart.Add(time.Second), "", "kept") // 3 and more
		r.flush("kept")
	}
	look := func() {
		t.Helper()
		r.want("kept", Window{Edge: edge}, "0 1 2")
		for want, w := range map[int64]Window{3: {Edge: edge}, 2: {Edge: edge, From: testStart.Add(time.Second)}, 3 + mergeWidth: {}} {
			if got, err := r.Tally(t.Context(), "kept-id", w, nil); err != nil || got.Events != want {
				t.Errorf("%d events are counted instead of %d, %v", got.Events, want, err)
			}
		}
	}
	look()
	if err := r.stores["kept-id"].merge(t.Context()); err != nil || len(r.stores["kept-id"].current().segments) != 1 {
		t.Fatalf("%d segments are left by a merge, %v", len(r.stores["kept-id"].current().segments), err)
	}
	look()
	if _, _, err := r.Cut(t.Context(), "nobody", Window{}); rialto.KindOf(err) != rialto.NotFound {
		t.Errorf("an archive that is not there is cut with %v", err)
	}
}

// TestMarksOutliveSegments hands out again what was sealed into a segment that is gone by now.
func TestMarksOutliveSegments(t *testing.T) {
	r := newRig(t, testArchive("kept", 1))
	r.accept(testStart, "", "kept")
	r.flush("kept")
	r.clock.now = testStart.Add(72 * time.Hour)
	r.tend(t.Context())
	r.clock.now = r.clock.now.Add(clockProven)
	r.tend(t.Context())
	r.log.settled = nil // the process dies before
	r.start()
	r.Retain(&target.Definition{ARN: testArchive("kept", 0).StoreARN(testScope)}, r.log.left())
	if len(r.log.settled) != 1 || len(r.stores["kept-id"].waiting) > 0 {
		t.Error("an event that was sealed, and got too old, waits to be sealed again")
	}
}

// TestDeletedArchive deletes an archive from which somebody reads, and which has events that wait.
func TestDeletedArchive(t *testing.T) {
	r := newRig(t, testArchive("kept", 0), testArchive("other", 0))
	for i := range 3 {
		for range 2 {
			r.accept(testStart.Add(time.Duration(i)*time.Hour), "", "kept", "other")
		}
		r.flush("kept")
	}
	r.accept(testStart, "", "kept")
	var failed error
	n := 0
	for _, err := range r.Read(t.Context(), "kept", Window{}, Position{}) {
		if err != nil {
			failed = err
			break
		}
		if n++; n == 1 {
			r.follow("", testArchive("kept", 0), nil)
			if err := r.Delete(t.Context(), "kept-id"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if rialto.KindOf(failed) != rialto.NotFound {
		t.Errorf("reading from an archive that is deleted ends with %v", failed)
	}
	names, err := r.blobs.List(t.Context(), "kept-id/")
	if err != nil || len(names) > 0 {
		t.Errorf("the archive left %q, %v", names, err)
	}
	if _, err := r.Count(t.Context(), "kept"); rialto.KindOf(err) != rialto.NotFound {
		t.Errorf("a deleted archive is counted with %v", err)
	}
	r.accept(testStart, "", "kept")
	if n := len(r.log.settled); n != 8 {
		t.Errorf("%d of the 8 deliveries for a deleted archive have ended", n)
	}
	r.flush("other")
	if n := r.count("other"); n != 6 {
		t.Errorf("the other archive has %d events", n)
	}
}

// TestDeletedBetween deletes an archive while a segment of it is being fetched. Nobody may take that for the end of what it has.
func TestDeletedBetween(t *testing.T) {
	for name, look := range map[string]func(*rig) error{
		"Read": func(r *rig) error { _, err := r.ids("kept", Window{}); return err },
		"Tally": func(r *rig) error {
			_, err := r.Tally(t.Context(), "kept-id", Window{From: testStart.Add(time.Millisecond)}, nil)
			return err
		},
	} {
		r := newRig(t, testArchive("kept", 0))
		r.accept(testStart.Add(time.Second), "", "kept")
		r.accept(testStart, "", "kept")
		r.flush("kept")
		names, err := r.blobs.List(t.Context(), "kept-id/")
		if err != nil || len(names) != 1 {
			t.Fatalf("the segments are %q, %v", names, err)
		}
		r.blobs.spoil[names[0]] = func([]byte) ([]byte, error) {
			r.follow("", testArchive("kept", 0), nil)
			if err := r.Delete(t.Context(), "kept-id"); err != nil {
				t.Fatal(err)
			}
			return nil, journal.ErrNotFound
		}
		if err := look(r); rialto.KindOf(err) != rialto.NotFound {
			t.Errorf("%s ends with %v", name, err)
		}
	}
}

// TestDeletedWhileAway opens what an archive has left that was deleted before all of it was removed.
func TestDeletedWhileAway(t *testing.T) {
	r := newRig(t, testArchive("kept", 0), testArchive("other", 0))
	r.accept(testStart, "", "kept", "other")
	r.flush("kept")
	r.flush("other")
	r.cat = openCatalog(t, testArchive("other", 0))
	r.start()
	r.tend(t.Context())
	names, err := r.blobs.List(t.Context(), "")
	if err != nil || len(names) != 1 || !strings.HasPrefix(names[0], "other-id/") {
		t.Errorf("%q are left, %v", names, err)
	}
	if _, err := r.kv.Get(t.Context(), "kept-id"); !errors.Is(err, journal.ErrNotFound) {
		t.Errorf("the ledger is left: %v", err)
	}
}

// TestDamage spoils a block, a whole segment, and takes one away. Each is named, the rest is read, and nothing spoiled is merged.
func TestDamage(t *testing.T) {
	r := newRig(t, testArchive("kept", 0))
	for i := range 9 {
		r.accept(testStart.Add(time.Duration(i)*time.Minute), strings.Repeat("x", 40<<10), "kept")
		if i%3 == 2 {
			r.flush("kept")
		}
	}
	segments := r.stores["kept-id"].current().segments
	r.want("kept", Window{}, "0 1 2 3 4 5 6 7 8")
	name := func(i int) string { return "kept-id/" + segments[i].name }
	for _, c := range []struct {
		name  string
		spoil func([]byte) ([]byte, error)
		left  string
		block int
		lost  int64
	}{
		{"a flipped bit in a block", func(b []byte) ([]byte, error) { b[segmentHeader+3] ^= 4; return b, nil }, "0 1 2 5 6 7 8", 0, 2},
		{"a flipped bit in the index", func(b []byte) ([]byte, error) { b[len(b)-segmentTail-2] ^= 4; return b, nil }, "0 1 2 6 7 8", -1, 3},
		{"it cannot be read", func([]byte) ([]byte, error) {
			return nil, &journal.DamageError{Log: "blobs", Reason: "chunks are missing"}
		}, "0 1 2 6 7 8", -1, 3},
		{"it is not there", func([]byte) ([]byte, error) { return nil, journal.ErrNotFound }, "0 1 2 6 7 8", -1, 3},
		{"it is cut short", func(b []byte) ([]byte, error) { return b[:len(b)/2], nil }, "0 1 2 6 7 8", -1, 3},
	} {
		r.cache = newCache(cacheBytes)
		r.blobs.spoil[name(1)] = c.spoil
		got, err := r.ids("kept", Window{})
		d, ok := errors.AsType[*DamageError](err)
		if !ok || got != c.left || d.Archive != "kept" || d.Segment != segments[1].name || d.Block != c.block || d.Events != c.lost ||
			!d.From.Equal(testStart.Add(3*time.Minute)) {
			t.Errorf("%s: the events %q are read, with %v", c.name, got, err)
		}
		r.cache = newCache(cacheBytes)
		matches, err := r.Tally(t.Context(), "kept-id", Window{}, func([]byte) bool { return true })
		if _, ok := errors.AsType[*DamageError](err); !ok || matches.Events != 9-c.lost {
			t.Errorf("%s: %d events match, with %v", c.name, matches.Events, err)
		}
	}
	if waiting, stored, damaged := r.Figures(); waiting != 0 || stored == 0 || damaged != 2 { // the block, and the whole segment
		t.Errorf("%d events wait, %d bytes are stored, %d damages are counted", waiting, stored, damaged)
	}
	if !r.isDamaged(name(1)) || r.isDamaged(name(0)) {
		t.Error("it is not known what is damaged")
	}
	if run := mergeable(slices.Repeat(segments, 10), func(s *segmentInfo) bool { return s.name == segments[1].name }); run != nil {
		t.Error("a damaged segment is merged")
	}
}

// TestAnUnreadableEventHoldsNobodyUp has an event in the middle that the log does not have any more.
func TestAnUnreadableEventHoldsNobodyUp(t *testing.T) {
	r := newRig(t, testArchive("kept", 0))
	r.log.spoiled = "event-1"
	for i := range 3 {
		r.accept(testStart.Add(time.Duration(i)*time.Second), "", "kept")
	}
	if n := r.count("kept"); n != 2 {
		t.Errorf("%d events are counted before they are sealed", n)
	}
	r.flush("kept")
	r.want("kept", Window{}, "0 2")
	if n := r.count("kept"); n != 2 || len(r.log.settled) != 3 {
		t.Errorf("%d events are counted, and %d deliveries have ended", n, len(r.log.settled))
	}
}

// TestMerging gives a quiet archive many small segments. They become few, whoever reads meanwhile reads on, and nothing is left behind.
func TestMerging(t *testing.T) {
	r := newRig(t, testArchive("kept", 0))
	random := rand.New(rand.NewPCG(1, 2))
	st := r.stores["kept-id"]
	var next func() (Entry, error, bool)
	var got []Entry
	for i := range 600 {
		r.clock.now = r.clock.now.Add(5 * time.Minute)
		r.accept(r.clock.now.Add(-time.Duration(random.IntN(100))*time.Minute).Truncate(time.Second), "", "kept")
		r.flush("kept")
		if i == 300 {
			var stop func()
			next, stop = pull(r.Read(t.Context(), "kept", Window{Before: r.clock.now.Add(time.Second)}, Position{}))
			defer stop()
		}
		if err := st.merge(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(st.current().segments); n > 30 {
			t.Fatalf("after %d events there are %d segments", i+1, n)
		}
		if next == nil {
			continue
		}
		if e, err, ok := next(); err != nil {
			t.Fatal(err)
		} else if ok {
			got = append(got, e)
		}
	}
	for e, err, ok := next(); ok; e, err, ok = next() {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e)
	}
	if len(got) != 301 || !slices.IsSortedFunc(got, func(a, b Entry) int { return a.Position.Compare(b.Position) }) {
		t.Errorf("%d events are read while segments are merged", len(got))
	}
	if n := r.count("kept"); n != 600 {
		t.Errorf("%d events are counted", n)
	}
	names, err := r.blobs.List(t.Context(), "")
	if err != nil || len(names) != len(st.current().segments) {
		t.Errorf("%d blobs are there for %d segments, %v", len(names), len(st.current().segments), err)
	}
	for _, s := range st.current().segments {
		if s.accepted.last-s.accepted.first > mergeSpan.Microseconds() {
			t.Errorf("a segment has events of %v", time.Duration(s.accepted.last-s.accepted.first)*time.Microsecond)
		}
	}
}

// pull turns a sequence around.
func pull(seq func(func(Entry, error) bool)) (next func() (Entry, error, bool), stop func()) {
	type item struct {
		e   Entry
		err error
	}
	items, asked, done := make(chan item), make(chan bool), make(chan struct{})
	go func() {
		defer close(done)
		defer close(items)
		if !<-asked {
			return
		}
		for e, err := range seq {
			items <- item{e, err}
			if !<-asked {
				return
			}
		}
	}()
	return func() (Entry, error, bool) {
			select {
			case asked <- true:
			case <-done:
				return Entry{}, nil, false
			}
			i, ok := <-items
			return i.e, i.err, ok
		}, func() {
			select {
			case asked <- false:
			case <-done:
			}
			<-done
		}
}

// TestLooking finds, counts and draws.
func TestLooking(t *testing.T) {
	r := newRig(t, testArchive("kept", 0))
	for i := range 100 {
		r.accept(testStart.Add(time.Duration(i)*time.Second), []string{"red", "blue"}[i%2], "kept")
		if i%10 == 9 {
			r.flush("kept")
		}
	}
	id := uuid.Must(uuid.NewV7())
	at := time.Unix(id.Time().UnixTime())
	r.clock.now = at
	e := testEvent(0, testStart, at, "mentions event-42")
	e.Event = bytes.Replace(e.Event, []byte("event-0"), []byte(id.String()), 1)
	r.Retain(&target.Definition{ARN: testArchive("kept", 0).StoreARN(testScope)}, []deliver.Retained{r.log.accept(0, e)})
	r.flush("kept")
	for _, want := range []string{"event-42", id.String()} {
		found, err := r.Find(t.Context(), "kept-id", want)
		if err != nil || string(idOf(found.Event)) != `"`+want+`"` {
			t.Errorf("%s is looked for and %s is found, %v", want, found.Event, err)
		}
	}
	if _, err := r.Find(t.Context(), "kept-id", "event-"); rialto.KindOf(err) != rialto.NotFound {
		t.Errorf("an event that is not there is looked for with %v", err)
	}
	red := func(event []byte) bool { return bytes.Contains(event, []byte("red")) }
	w := Window{From: testStart.Add(20 * time.Second), To: testStart.Add(60 * time.Second)}
	if total, err := r.Tally(t.Context(), "kept-id", w, red); err != nil || total.Events != 20 {
		t.Errorf("%d events match, %v", total.Events, err)
	}
	drawn, err := r.Sample(t.Context(), "kept-id", w, red, 5)
	if err != nil || len(drawn) != 5 || !slices.IsSortedFunc(drawn, func(a, b Entry) int { return a.Position.Compare(b.Position) }) {
		t.Errorf("%d events are drawn, %v", len(drawn), err)
	}
	for _, e := range drawn {
		if !red(e.Event) || e.Time().Before(w.From) || !e.Time().Before(w.To) {
			t.Errorf("%s is drawn", e.Event)
		}
	}
}

func TestPositions(t *testing.T) {
	list := []Position{
		{}, {Time: -5, Accepted: 7, Shard: 3, Key: 1}, {Time: 1 << 60, Accepted: -(1 << 60), Shard: 1<<32 - 1, Key: 1<<64 - 1},
	}
	for _, p := range list {
		got, err := ParsePosition(p.Append(nil))
		if err != nil || got != p {
			t.Errorf("%+v is read as %+v, %v", p, got, err)
		}
	}
	for _, b := range []string{"", "\x00", "\x00\x00\x00\x00\x00"} {
		if _, err := ParsePosition([]byte(b)); err == nil {
			t.Errorf("%q is read as a position", b)
		}
	}
	if fmt.Sprint(PositionAt(testStart).Compare(Position{Time: testStart.UnixMicro(), Accepted: 1})) != "-1" {
		t.Error("the position of a time is not before its events")
	}
}

// TestImport brings events of one archive into another, together with those that it has.
func TestImport(t *testing.T) {
	r := newRig(t, testArchive("kept", 0), testArchive("other", 1))
	for i := range 5 {
		r.accept(testStart.Add(time.Duration(i)*time.Second), "", "kept")
	}
	r.flush("kept")
	r.accept(testStart.Add(2500*time.Millisecond), "", "other") // its time is in whole seconds
	r.flush("other")
	r.clock.now = testStart.Add(time.Hour)
	exported := func(yield func([]byte, error) bool) {
		for e, err := range r.Read(t.Context(), "kept", Window{}, Position{}) {
			if !yield(e.Event, err) {
				return
			}
		}
	}
	for range 2 {
		if n, err := r.Import(t.Context(), "other-id", exported); err != nil || n != 5 {
			t.Fatalf("%d events are imported, %v", n, err)
		}
	}
	r.want("other", Window{}, "0 0 1 1 5 2 2 3 3 4 4")
	r.start()
	r.want("other", Window{From: testStart.Add(2 * time.Second)}, "5 2 2 3 3 4 4")
	r.clock.now = testStart.Add(25*time.Hour + 30*time.Minute)
	r.want("other", Window{}, "0 0 1 1 2 2 3 3 4 4") // they were accepted an hour later
	if n := r.count("other"); n != 10 {
		t.Errorf("%d events are counted", n)
	}
	for _, bad := range []string{``, `[]`, `{"id":"a"}`, `{"id":"a","time":"yesterday"}`, `{"time":"2026-03-01T10:00:00Z"}`, `{"id":"a","time":"2026-03-01T10:00:00Z"`} {
		n, err := r.Import(t.Context(), "other-id", func(yield func([]byte, error) bool) { yield([]byte(bad), nil) })
		if n != 0 || rialto.KindOf(err) != rialto.Invalid {
			t.Errorf("%q is imported: %d, %v", bad, n, err)
		}
	}
}

// TestAFullLedger has as many segments as an archive can have. What comes then waits in the log, and is counted.
func TestAFullLedger(t *testing.T) {
	r := newRig(t, testArchive("kept", 0))
	st := r.stores["kept-id"]
	many := &ledger{}
	one := segmentInfo{
		name: "0123456789abcdef", stored: 1 << 20, raw: 8 << 20, time: span{testStart.UnixMicro(), testStart.UnixMicro()},
		accepted: span{testStart.UnixMicro(), testStart.UnixMicro()}, cells: []cell{{hourOf(testStart.UnixMicro()), Total{1, 100}}},
	}
	for len(many.append(nil)) <= journal.MaxValue {
		many.segments = slices.Concat(many.segments, slices.Repeat([]segmentInfo{one}, 1000))
	}
	st.ledger = many
	if n := len(many.segments); n < 10_000 {
		t.Errorf("an archive can have no more than %d segments", n)
	}
	r.accept(testStart, "", "kept")
	if err := r.Flush(t.Context(), "kept"); rialto.KindOf(err) != rialto.Exceeded {
		t.Errorf("an archive that is full is flushed with %v", err)
	}
	if n := r.count("kept"); n != int64(len(many.segments))+1 {
		t.Errorf("%d events are counted", n)
	}
	if names, err := r.blobs.List(t.Context(), ""); err != nil || len(names) > 0 {
		t.Errorf("the blobs %q are left, %v", names, err)
	}
}

// A deafKV loses what it answers to writes, and the writes themselves if it is told to.
type deafKV struct {
	journal.KV
	deaf, lose bool
}

func (kv *deafKV) Update(ctx context.Context, key string, value []byte, rev uint64) (uint64, error) {
	if kv.deaf && kv.lose {
		return 0, journal.ErrUnknown
	}
	got, err := kv.KV.Update(ctx, key, value, rev)
	if kv.deaf {
		return 0, journal.ErrUnknown
	}
	return got, err
}

func (kv *deafKV) Get(ctx context.Context, key string) (journal.Entry, error) {
	if kv.deaf {
		return journal.Entry{}, rialto.Errorf(rialto.Unavailable, "nobody answers")
	}
	return kv.KV.Get(ctx, key)
}

// TestDoubtsAreSettled leaves it open several times whether a ledger is stored. Its segments stay as long as it may be, and no longer.
func TestDoubtsAreSettled(t *testing.T) {
	for _, lost := range []bool{true, false} {
		r := newRig(t, testArchive("kept", 0))
		r.accept(testStart, "", "kept")
		r.flush("kept")
		kv := &deafKV{KV: r.kv, deaf: true, lose: lost}
		r.kv = kv
		r.accept(testStart.Add(time.Second), "", "kept")
		for range 3 {
			if err := r.Flush(t.Context(), "kept"); rialto.KindOf(err) != rialto.Unavailable {
				t.Errorf("sealing with an outcome that nobody knows says %v", err)
			}
		}
		if names, err := r.blobs.List(t.Context(), ""); err != nil || len(names) != 4 {
			t.Errorf("in doubt, there are %d blobs, %v", len(names), err)
		}
		kv.deaf = false
		r.flush("kept")
		r.want("kept", Window{}, "0 1")
		if names, err := r.blobs.List(t.Context(), ""); err != nil || len(names) != 2 {
			t.Errorf("without a doubt (writes were lost: %t), there are %d blobs, %v", lost, len(names), err)
		}
	}
}
