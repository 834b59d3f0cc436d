package queue

import (
	"bytes"
	"testing"
)

// Many messages are purged at once and cleared away bit by bit: nobody finds them any more, also not by way of a snapshot, and their queue is in use
// meanwhile.
func TestPurgeOfMany(t *testing.T) {
	const n = 2*clearAtOnce + 3000
	m, s := busy(t, n)
	held := commit(t, s, kindReceive, receiveCommand(simQueue, maxSeconds, 10, 60, redrive{})).([]received)[0]
	if err := commit(t, s, kindPurge, idCommand(simQueue)); err != nil {
		t.Fatal(err)
	}
	kind, body := sendCommand(simQueue, maxSeconds, []parcel{{payload: []byte("after")}})
	commit(t, s, kind, body)
	commit(t, s, kindDelete, handlesCommand(simQueue, []Place{{held.slot, held.key}}))
	if c := commit(t, s, kindTouch, touchCommand(simQueue, maxSeconds)); c != (Counts{Visible: 1}) {
		t.Errorf("after the purge and a send the queue has %+v", c)
	}
	if left := commit(t, s, kindClear, clearCommand(1000)); left != n-1000 {
		t.Errorf("%v messages are left to clear away, want %d", left, n-1000)
	}

	if err := s.View(t.Context(), func() {
		before, restored := m.Snapshot(nil), NewMachine()
		if err := restored.Restore(before); err != nil {
			t.Error(err)
			return
		}
		if !bytes.Equal(restored.Snapshot(nil), before) || restored.messages.n != m.messages.n {
			t.Error("the snapshot of a restored machine differs from the one that it was restored from")
		}
	}); err != nil {
		t.Fatal(err)
	}
	for left := n; left > 0; {
		left = commit(t, s, kindClear, clearCommand(clearAtOnce)).(int)
	}
	if m.messages.n != 1 || m.debris != nil {
		t.Errorf("%d slots are in use after everything was cleared away, want 1", m.messages.n)
	}
	if got := commit(t, s, kindReceive, receiveCommand(simQueue, maxSeconds, 10, 60, redrive{})).([]received); len(got) != 1 {
		t.Errorf("%d messages were received, want the one that was sent after the purge", len(got))
	}
}
