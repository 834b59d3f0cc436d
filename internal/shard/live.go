package shard

import "fmt"

// A liveTable knows, for every frame in the log, how large it is and how much of it the machines still refer to.
//
//	first                      oldest                     last
//	  │  nothing lives here      │  something may live      │
//	  ▼                          ▼                          ▼
//	┌────┬────┬────┬────┬────┬────┬────┬────┬────┬────┬────┬────┐
//	│  0 │  0 │  0 │  0 │  0 │ 2  │  0 │  1 │  0 │ 17 │ 40 │ 40 │   references
//	└────┴────┴────┴────┴────┴────┴────┴────┴────┴────┴────┴────┘
type liveTable struct {
	first  uint64 // sequence number of frames[0]
	frames []frameUse
	total  int64 // bytes of all frames
	live   int64 // bytes that are referred to
	refs   int64
	oldest int // every frame before frames[oldest] has no references
}

type frameUse struct {
	size uint32 // bytes of the record in the log
	refs int32
	live int32 // bytes referred to
}

// push notes that the next frame was written.
func (t *liveTable) push(size int) {
	t.frames = append(t.frames, frameUse{size: uint32(size)})
	t.total += int64(size)
}

// last is the sequence number of the youngest frame.
func (t *liveTable) last() uint64 { return t.first + uint64(len(t.frames)) - 1 }

// add counts n references more to a payload. A reference to a frame that is not there, or one taken back twice, is a
// mistake in a machine that would lose payloads later: it ends the process while the log is still right.
func (t *liveTable) add(r Ref, n int32) {
	i := r.Seq - t.first
	if r.Seq < t.first || i >= uint64(len(t.frames)) {
		panic(fmt.Sprintf("shard: a payload in frame %d is referred to, but the log holds %d to %d", r.Seq, t.first, t.last()))
	}
	f := &t.frames[i]
	f.refs += n
	f.live += n * int32(r.Len)
	t.live += int64(n) * int64(r.Len)
	t.refs += int64(n)
	if f.refs < 0 {
		panic(fmt.Sprintf("shard: a payload in frame %d was released more often than retained", r.Seq))
	}
	if n > 0 && int(i) < t.oldest {
		t.oldest = int(i)
	}
}

// oldestLive is the first frame that something refers to, or the one after the last.
func (t *liveTable) oldestLive() uint64 {
	for t.oldest < len(t.frames) && t.frames[t.oldest].refs == 0 {
		t.oldest++
	}
	return t.first + uint64(t.oldest)
}

// dead is how many bytes the frames have before the oldest that something refers to.
func (t *liveTable) dead() (n int64) {
	for _, f := range t.frames[:t.oldestLive()-t.first] {
		n += int64(f.size)
	}
	return n
}

// truncate forgets the frames before a sequence number.
func (t *liveTable) truncate(before uint64) {
	if before <= t.first {
		return
	}
	n := int(min(before-t.first, uint64(len(t.frames))))
	for _, f := range t.frames[:n] {
		t.total -= int64(f.size)
		t.live -= int64(f.live)
	}
	t.frames = append(t.frames[:0:0], t.frames[n:]...)
	t.first += uint64(n)
	t.oldest = max(0, t.oldest-n)
}

// What a log may have beside what lives in it. A payload needs a command around it, and a frame around that.
const (
	overhead   = 32       // bytes beside a payload that lives
	slackBytes = 64 << 20 // bytes that are not worth any effort
)

// excess is how many bytes the frames from the oldest live one on have beyond half as much again as lives in them, and beyond slack.
func (t *liveTable) excess(slack int64) int64 {
	needed := t.live + overhead*t.refs
	return t.total - t.dead() - needed - needed/2 - slack
}

// carryBefore finds the frame before which all is to be carried forward so that the log gets shorter by so many bytes, at the cost of
// no more than limit bytes, or refs payloads, to be written again. If that much cannot be had at once, it is as far as the limit goes: what
// lives moves to the end of the log then, and the next time comes to what is dead behind it.
func (t *liveTable) carryBefore(wanted, limit, refs int64) (before uint64) {
	var freed, live, n int64
	for i := int(t.oldestLive() - t.first); i < len(t.frames) && freed < wanted; i++ {
		f := t.frames[i]
		live, n = live+int64(f.live), n+int64(f.refs)
		if before > 0 && (live > limit || n > refs) {
			break
		}
		freed += int64(f.size) - int64(f.live) - overhead*int64(f.refs)
		before = t.first + uint64(i) + 1
	}
	return before
}
