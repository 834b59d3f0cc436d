package deliver

import (
	"fmt"
	"testing"
	"time"
)

// TestWindow lets destinations of several sorts answer for a while, as many attempts at once as the window allows, and looks at where
// it ends up. An attempt is a function of how many are in progress.
func TestWindow(t *testing.T) {
	took := func(d time.Duration) func(int, int) (reply, time.Duration) {
		return func(int, int) (reply, time.Duration) { return replyGood, d }
	}
	tests := []struct {
		name          string
		most          int
		rounds        int
		answer        func(n, busy int) (reply, time.Duration) // to the nth attempt
		least, atMost int
	}{
		{"all is well", 64, 50, took(10 * time.Millisecond), 64, 64},
		{"as quick as nothing", 64, 50, took(0), 64, 64},
		{"slow, but steady", 64, 50, took(3 * time.Second), 64, 64},
		{"one attempt at once is all there may be", 1, 20, took(time.Second), 1, 1},
		{"it never answers", 64, 50, func(int, int) (reply, time.Duration) { return replyBad, time.Minute }, 1, 1},
		{"one in a hundred fails", 64, 100, func(n, _ int) (reply, time.Duration) {
			if n%100 == 99 {
				return replyBad, time.Millisecond
			}
			return replyGood, time.Millisecond
		}, 60, 64},
		{"a third fails", 64, 100, func(n, _ int) (reply, time.Duration) {
			if n%3 == 0 {
				return replyBad, time.Millisecond
			}
			return replyGood, time.Millisecond
		}, 1, 4},
		{"it bears ten at once, and says so", 64, 300, func(_, busy int) (reply, time.Duration) {
			if busy > 10 {
				return replyBusy, time.Millisecond
			}
			return replyGood, 10 * time.Millisecond
		}, 5, 11},
		{"it bears twenty at once, and fails otherwise", 64, 300, func(_, busy int) (reply, time.Duration) {
			if busy > 20 {
				return replyBad, time.Millisecond
			}
			return replyGood, 10 * time.Millisecond
		}, 12, 26},
		{"it queues what is more than four", 64, 300, func(n, busy int) (reply, time.Duration) {
			if n < 100 {
				return replyGood, 10 * time.Millisecond // before it has so much to do
			}
			return replyGood, 10 * time.Millisecond * time.Duration(max(1, busy/4))
		}, 8, 50},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, now, n := newWindow(tt.most), accepted, 0
			for range tt.rounds {
				busy, longest := w.size(), time.Duration(0)
				for i := range busy {
					r, d := tt.answer(n, i+1)
					longest = max(longest, d)
					w.end(r, now, now.Add(d), busy)
					n++
				}
				now = now.Add(longest + time.Nanosecond)
			}
			if got := w.size(); got < tt.least || got > tt.atMost {
				t.Errorf("the window ends up at %d, want from %d to %d", got, tt.least, tt.atMost)
			}
		})
	}
}

// TestWindowRecovers lets a destination come back: the window grows by one for every round.
func TestWindowRecovers(t *testing.T) {
	w, now := newWindow(64), accepted
	for range 100 {
		w.end(replyBusy, now, now, 1)
		now = now.Add(time.Second)
	}
	if w.size() != 1 {
		t.Fatalf("the window is %d", w.size())
	}
	rounds := 0
	for ; w.size() < 64 && rounds < 1000; rounds++ {
		for range w.size() {
			w.end(replyGood, now, now.Add(10*time.Millisecond), w.size())
		}
		now = now.Add(10 * time.Millisecond)
	}
	if rounds < 40 || rounds > 140 {
		t.Errorf("it took %d rounds to grow", rounds)
	}
	for range 1000 {
		w.end(replyGood, now, now.Add(10*time.Millisecond), 1)
	}
	w.end(replyBusy, now, now, 1)
	if size := w.size(); size != 32 {
		t.Errorf("half of the window is %d", size)
	}
	for range 1000 {
		w.end(replyGood, now.Add(time.Second), now.Add(time.Second), 1)
	}
	if size := w.size(); size != 32 {
		t.Errorf("a window that nobody uses has grown to %d", size)
	}
}

// FuzzWindow holds the bounds.
func FuzzWindow(f *testing.F) {
	f.Add(uint8(64), []byte("a window shrinks and grows"))
	f.Fuzz(func(t *testing.T, most uint8, steps []byte) {
		w, now := newWindow(max(1, int(most))), accepted
		for _, s := range steps {
			d := time.Duration(s>>2) * time.Duration(s>>2) * time.Millisecond
			w.end(reply(s%4), now, now.Add(d), int(s)%(w.size()+1))
			now = now.Add(d)
			if w.size() < 1 || w.size() > max(1, int(most)) {
				t.Fatal(fmt.Sprintf("a window of %d, from 1 to %d", w.size(), most))
			}
		}
	})
}
