package pattern_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/rialto-events/rialto/pattern"
)

// TestSetChanges adds, replaces and removes patterns of all kinds at random, so that everything is tidied and made anew many
// times, and compares with the obvious matcher on the way.
func TestSetChanges(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var set pattern.Set
	var scratch pattern.Scratch
	patterns := make([]*pattern.Pattern, 60)
	for step := range 6000 {
		i := r.IntN(len(patterns))
		switch {
		case r.IntN(3) == 0:
			set.Remove(pattern.ID(i))
			patterns[i] = nil
		default:
			g := &generator{data: randomBytes(uint64(step), 200)}
			p, err := pattern.Parse([]byte(g.pattern()))
			if err != nil {
				continue
			}
			set.Add(pattern.ID(i), p)
			patterns[i] = p
		}
		if step%20 == 0 {
			g := &generator{data: randomBytes(uint64(step), 300), arrays: step % 3}
			compare(t, &set, patterns, []byte(g.event()), &scratch)
		}
	}
}

// TestManyPatterns has many of a kind, so that tables grow and ranges are merged.
func TestManyPatterns(t *testing.T) {
	var set pattern.Set
	var patterns []*pattern.Pattern
	add := func(format string, args ...any) {
		p := parse(t, fmt.Sprintf(format, args...))
		set.Add(pattern.ID(len(patterns)), p)
		patterns = append(patterns, p)
	}
	r := rand.New(rand.NewPCG(2, 1))
	for i := range 300 {
		low := r.IntN(1000)
		add(`{"n":[{"numeric":[">=",%d,"<",%d]}]}`, low, low+1+r.IntN(50))
		add(`{"n":[{"numeric":[">",%d]}],"s":["v%d"]}`, low, i%7)
		add(`{"n":[%d]}`, i)
		add(`{"s":["v%d"]}`, i)
		add(`{"s":[{"prefix":"v%d"}],"x":[{"exists":false}]}`, i)
		add(`{"s":[{"wildcard":"*%d*"}]}`, i)
		add(`{"field%d":["a"]}`, i)
		add(`{"a":[{"cidr":"10.%d.%d.0/%d"}]}`, i%4, i%256, 16+i%16)
	}
	var scratch pattern.Scratch
	check := func(rounds int) {
		for range rounds {
			event := fmt.Sprintf(`{"n":%d,"s":"v%d","a":"10.%d.%d.1","field%d":"a","l":[{"n":%d.5}]}`,
				r.IntN(1100), r.IntN(320), r.IntN(5), r.IntN(300), r.IntN(320), r.IntN(1000))
			compare(t, &set, patterns, []byte(event), &scratch)
		}
	}
	check(10)
	for i := range patterns { // all but every fifth go
		if i%5 != 0 {
			set.Remove(pattern.ID(i))
			patterns[i] = nil
		}
	}
	check(10)
	if got, want := set.Len(), len(patterns)/5; got != want {
		t.Errorf("%d patterns are left, want %d", got, want)
	}
}

// TestReplacingIsAtOnce replaces patterns while others match. Each event must match one of the old and the new pattern at
// any time, never both and never none.
func TestReplacingIsAtOnce(t *testing.T) {
	var set pattern.Set
	old, replacement := parse(t, `{"a":["x"],"b":[1]}`), parse(t, `{"b":[1,2],"c":[{"prefix":"y"}]}`)
	const ids = 20
	for id := range pattern.ID(ids) {
		set.Add(id, old)
	}
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			var scratch pattern.Scratch
			for {
				select {
				case <-done:
					return
				default:
				}
				got, err := set.Match([]byte(`{"a":"x","b":[1,2],"c":"yes"}`), &scratch)
				if err != nil || len(got) != ids {
					t.Errorf("got %d ids, %v", len(got), err)
					return
				}
			}
		})
	}
	for round := range 4000 {
		p := old
		if round%2 == 0 {
			p = replacement
		}
		set.Add(pattern.ID(round%ids), p)
		set.Add(1000, parse(t, fmt.Sprintf(`{"other%d":["x"]}`, round))) // makes and leaves paths
		if round%3 == 0 {
			set.Remove(1000)
		}
	}
	close(done)
	readers.Wait()
}

func TestMatchAllocatesNothing(t *testing.T) {
	var set pattern.Set
	for i, text := range []string{
		`{"a":["x",{"prefix":"y"},{"suffix":"z"},{"equals-ignore-case":"Wéí"}],"n":[{"numeric":[">",1]},300]}`,
		`{"l":{"a":[{"wildcard":"*b*c*"}],"b":[{"exists":false}]},"ip":[{"cidr":"10.0.0.0/8"},{"cidr":"2001:db8::/32"}]}`,
		`{"$or":[{"a":[{"anything-but":["q"]}]},{"big":[1700000000000000000]}]}`,
		`{"é":[{"exists":true}],"never":[{"exists":false}]}`,
	} {
		set.Add(pattern.ID(i), parse(t, text))
	}
	event := []byte(`{"a":"wÉí","n":[1.5,-122.41600944012424],"l":[{"a":"abc"},{"a":"abcc","b":1}],"ip":["10.1.2.3","2001:db8::7"],
		"big":1700000000000000000,"\u00e9":"x\ny"}`)
	var scratch pattern.Scratch
	match := func() {
		ids, err := set.Match(event, &scratch)
		if err != nil || len(ids) != 4 {
			t.Fatalf("got %v, %v", ids, err)
		}
	}
	match()
	if n := testing.AllocsPerRun(100, match); n != 0 {
		t.Errorf("a match makes %v allocations", n)
	}
}

func TestMatchRefuses(t *testing.T) {
	var set pattern.Set
	var scratch pattern.Scratch
	set.Add(1, parse(t, `{"a":{"b":["x"]},"c":[{"exists":true}]}`))
	for _, event := range []string{``, ` `, `[]`, `1`, `"a"`, `{`, `{"a"`, `{"a":`, `{"a":{`, `{"a":{"b":"`, `{"a":{"b":"x"}`,
		`{"c":[`, `{"c":[1`, `{"x":"\`, `{"x":[[[`, `{"a":{"b":1}}}`, `{} {}`, `{"a" 1}`} {
		if ids, err := set.Match([]byte(event), &scratch); err == nil {
			t.Errorf("event %s: got %v", event, ids)
		}
	}
	if ids, err := new(pattern.Set).Match([]byte(`{}`), &scratch); err != nil || len(ids) != 0 {
		t.Errorf("an empty set: got %v, %v", ids, err)
	}
}

// FuzzMatchAnything matches whatever is no JSON: it must neither panic nor run on.
func FuzzMatchAnything(f *testing.F) {
	var set pattern.Set
	for i, text := range []string{
		`{"a":{"b":["x"]},"c":[{"exists":true}]}`,
		`{"a":[1,{"wildcard":"*a*"}],"a.b":[{"numeric":[">",1]}],"d":[{"exists":false}]}`,
	} {
		set.Add(pattern.ID(i), parse(f, text))
	}
	f.Add([]byte(`{"a":{"b":"\u00","c":[[1,{"b":-}]]}`))
	f.Fuzz(func(t *testing.T, event []byte) { _, _ = set.Match(event, new(pattern.Scratch)) })
}
