package main

import (
	"slices"
	"strings"
	"testing"
)

// TestTwoRounds keeps the program from rotting; make crash is the real thing.
func TestTwoRounds(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the binary")
	}
	var out strings.Builder
	if err := run(t.Context(), config{rounds: 2, callers: 8, seed: 1}, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if !strings.Contains(out.String(), "nothing is lost") {
		t.Errorf("the program said:\n%s", out.String())
	}
}

// TestALossIsNoticed plays the server to the ledger: what it forgets must be named.
func TestALossIsNoticed(t *testing.T) {
	l := newLedger()
	l.acknowledged("whole")
	l.acknowledged("lost")
	for w := range ways {
		l.arrived(w, "whole")
		if w != over {
			l.arrived(w, "lost")
		}
		l.arrived(w, "never acknowledged")
	}
	l.arrived(hook, "whole")
	l.received("m-1", letters, "whole") // another message with an event that had come
	l.received("m-1", letters, "whole") // the same message again is no duplicate
	l.sent("m-2")
	l.received("m-3", ways, "")
	l.deleted("m-3")
	l.received("m-3", ways, "")
	l.defined("q-1")
	l.defined("q-2")
	a := l.account(map[string]bool{"q-1": true})
	for _, c := range []struct {
		got  []string
		want string
	}{
		{a.events, "event lost never came by second bus"},
		{a.messages, "message m-2 was sent and never received"},
		{a.back, "message m-3 was deleted and came back"},
		{a.definitions, "the queue q-2 was made and is not there"},
		{a.duplicates, "event whole came 2 times by dead letters\nevent whole came 2 times by webhook"},
	} {
		if got := strings.Join(c.got, "\n"); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	if s := l.sum(); s.open != 1 || s.events != 2 || s.duplicates != 2 {
		t.Errorf("sum is %+v", s)
	}
}

// TestDisorderIsNoticed plays the server to the line.
func TestDisorderIsNoticed(t *testing.T) {
	l := newLine()
	for n, id := range []string{"a", "b", "c", "d"} {
		l.answered(1, id)
		if n < 2 {
			l.arrive(id, stood{Key: 1, N: n})
		}
	}
	l.arrive("b", stood{Key: 1, N: 1}) // a repetition
	l.arrive("x", stood{Key: 1, N: 1})
	l.arrive("d", stood{Key: 1, N: 3})
	l.arrive("a", stood{Key: 1, N: 0})
	l.arrive("y", stood{Key: 1, N: 2})
	l.arrive("z", stood{Key: lineKeys, N: 0})
	l.arrive("e", stood{Key: 2, N: 0})
	l.arrive("f", stood{Key: 2, N: 2})
	events, repeats, wrong := l.account()
	want := []string{
		"number 1 of key 1 was accepted as b and as x", "number 3 of key 1 came when number 2 was to come",
		"number 0 of key 1 came when number 2 was to come", "event z has the key 8, which nobody uses",
		"number 2 of key 2 came when number 1 was to come", "number 2 of key 1 was answered as c and came as y", "number 3 of key 1 never came",
	}
	if events != 4 || repeats != 1 || !slices.Equal(wrong, want) {
		t.Errorf("%d events, %d repeated, wrong is\n%s\nwant\n%s", events, repeats, strings.Join(wrong, "\n"), strings.Join(want, "\n"))
	}
}
