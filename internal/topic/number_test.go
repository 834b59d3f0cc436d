package topic

import (
	"testing"
	"time"

	"github.com/google/uuid"
)

// lastNumber is the last whose sequence number has twenty digits and fits into 64 bits: one of the year 2237.
const lastNumber = 1<<64 - 1 - firstSequence

// FuzzNumber: a message id is a UUID, from which its number can be read again, and ids of others have none.
func FuzzNumber(f *testing.F) {
	for _, n := range []int64{0, 1, 7, 8, 1 << 15, 1<<15 - 1, time.Date(2026, 1, 1, 0, 0, 0, 1, time.UTC).UnixNano(), lastNumber} {
		f.Add(n)
	}
	f.Fuzz(func(t *testing.T, n int64) {
		if n < 0 || n > lastNumber {
			return
		}
		id := number(n).id()
		if got, ok := numberOf(id); !ok || got != number(n) {
			t.Errorf("%d became %s, which is read as %d, %v", n, id, got, ok)
		}
		if u := uuid.MustParse(id); u.Version() != 8 || u.Variant() != uuid.RFC4122 {
			t.Errorf("%s is of version %d and variant %s", id, u.Version(), u.Variant())
		}
		if s := number(n).sequence(); len(s) != 20 {
			t.Errorf("%d has the sequence number %s", n, s)
		}
	})
}

func TestNumbers(t *testing.T) {
	var ns numbers
	now := time.Unix(1_800_000_000, 0)
	a, b, c, d := ns.next(now), ns.next(now), ns.next(now.Add(-time.Hour)), ns.next(now.Add(time.Microsecond))
	if !(a < b && b < c && c < d) {
		t.Errorf("the numbers %d, %d, %d, %d do not grow", a, b, c, d)
	}
	var after numbers // a restart
	if e := after.next(now.Add(2 * time.Microsecond)); e <= d {
		t.Errorf("after %d and a restart comes %d", d, e)
	}
	if n, ok := numberOf(uuid.NewString()); ok {
		t.Errorf("a random id has the number %d", n)
	}
}
