package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestAFewThousand keeps the program from rotting; make fifo is the real thing.
func TestAFewThousand(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the binary")
	}
	var out strings.Builder
	c := config{messages: 3000, groups: 20, producers: 4, consumers: 10, kills: 2, seed: 1}
	if err := run(t.Context(), c, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if !strings.Contains(out.String(), "nothing is lost") {
		t.Errorf("the program said:\n%s", out.String())
	}
}

// TestDefectsAreNoticed plays the server to the ledger.
func TestDefectsAreNoticed(t *testing.T) {
	l := newLedger(2)
	l.begin(0, 5)
	l.begin(1, 2)
	for n := range 5 {
		l.sent(0, n, "id-"+string(rune('0'+n)))
	}
	l.sent(0, 1, "id-1") // a duplicate
	msg := func(group, n int, id string) message { return message{MessageID: id, group: group, n: n} }
	l.received(time.Now(), []message{msg(0, 0, "id-0"), msg(0, 1, "id-1")})
	l.deleting([]message{msg(0, 0, "id-0")})
	l.settled(msg(0, 0, "id-0"), true)
	l.received(time.Now().Add(time.Second), []message{msg(0, 0, "id-0")})   // back
	l.received(time.Now(), []message{msg(0, 2, "id-2")})                    // before number 1
	l.received(time.Now(), []message{msg(0, 2, "id-2"), msg(0, 1, "id-1")}) // the wrong way round
	l.received(time.Now(), []message{msg(0, 1, "other")})
	l.received(time.Now(), []message{msg(1, 9, "none")})
	l.lost()
	want := []string{
		"message 0 of group 0 was deleted and came back",
		"message 2 of group 0 came while number 1 is there",
		"message 2 of group 0 came while number 1 is there",
		"message 1 of group 0 came behind number 2",
		"message 1 of group 0 is there twice, as id-1 and as other",
		" came, which nobody sent",
		"message 3 of group 0 was acknowledged and is lost",
		"message 4 of group 0 was acknowledged and is lost",
	}
	if !slices.Equal(l.wrong, want) || l.duplicates != 1 {
		t.Errorf("%d duplicates, wrong is\n%s\nwant\n%s", l.duplicates, strings.Join(l.wrong, "\n"), strings.Join(want, "\n"))
	}
}
