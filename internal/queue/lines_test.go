package queue

import "testing"

func TestATokenThatIsNotUsedGoesOn(t *testing.T) {
	l := newLines()
	first, second, third, other := l.join(1), l.join(1), l.join(1), l.join(2)
	woken := func(w *waiter) bool { return len(w.woken) == 1 }
	l.wake(1, 1)
	if !woken(first) || woken(second) {
		t.Error("a wake for one did not wake the first alone")
	}
	l.leave(first) // the request ended
	if !woken(second) || woken(third) {
		t.Error("the token did not go to the next alone")
	}
	<-second.woken
	l.rejoin(second)
	l.wake(1, 1)
	if !woken(second) {
		t.Error("who found nothing did not come back to the front")
	}
	l.wake(1, everybody)
	if !woken(third) || woken(other) {
		t.Error("a wake for everybody did not wake the queue's waiters alone")
	}
	for _, w := range []*waiter{second, third, other} {
		l.leave(w)
	}
	l.wake(1, everybody)
	if len(l.byQueue) != 0 {
		t.Errorf("%d lines are left", len(l.byQueue))
	}
}
