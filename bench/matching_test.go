package bench

import (
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rialto-events/rialto/bench/internal/inputs"
	"github.com/rialto-events/rialto/pattern"
)

// The figures of matching are events a second on one goroutine and J, multiples of what encoding/json.Valid does with the
// same events in the same run.

// sample is how many events are matched; the counts of matches are known for as many.
const sample = 20_000

var (
	cityLots = sync.OnceValue(func() [][]byte { return inputs.CityLots(sample) })
	mix      = sync.OnceValue(func() [][]byte { return inputs.Events(sample) })
)

// A workload is rules and events, and the number of matches that event-ruler finds.
type workload struct {
	name   string
	rules  func() []inputs.Rule
	events func() [][]byte
	want   int
}

var workloads = []workload{
	{"mix/300", mixed(300, false), mix, 121_435},
	{"mix/300-common", mixed(300, true), mix, 94_430},
	{"mix/10000", mixed(10_000, false), mix, 509_874},
	{"mix/10000-common", mixed(10_000, true), mix, 433_174},
	{"exact/1", scale("exact", 1), cityLots, unknown},
	{"exact/100", scale("exact", 100), cityLots, unknown},
	{"exact/10000", scale("exact", 10_000), cityLots, unknown},
	{"exact/100000", scale("exact", 100_000), cityLots, 3_289},
	{"exact2/100000", scale("exact2", 100_000), cityLots, 1_606},
	{"prefix/1000", scale("prefix", 1000), cityLots, 85},
	{"suffix/1000", scale("suffix", 1000), cityLots, 4_143},
	{"wildcard/1000", scale("wildcard", 1000), cityLots, 623},
	{"wildcard-lead/1000", scale("wildcard-lead", 1000), cityLots, 20_493},
	{"ignore-case/1000", scale("ignore-case", 1000), cityLots, unknown},
	{"anything-but/1000", scale("anything-but", 1000), cityLots, 19_999_955},
	{"numeric/1000", scale("numeric", 1000), cityLots, 25_126},
	{"or/1000", scale("or", 1000), cityLots, 54},
}

const unknown = -1

func mixed(n int, common bool) func() []inputs.Rule {
	return func() []inputs.Rule { return inputs.Mixed(n, common) }
}

func scale(op string, n int) func() []inputs.Rule {
	return func() []inputs.Rule { return inputs.Scale(op, n) }
}

func compile(tb testing.TB, rules []inputs.Rule) *pattern.Set {
	tb.Helper()
	set := new(pattern.Set)
	for i, p := range parse(tb, rules) {
		set.Add(pattern.ID(i), p)
	}
	return set
}

func parse(tb testing.TB, rules []inputs.Rule) []*pattern.Pattern {
	tb.Helper()
	patterns := make([]*pattern.Pattern, len(rules))
	for i, r := range rules {
		var err error
		if patterns[i], err = pattern.Parse(r.Pattern); err != nil {
			tb.Fatal(err)
		}
	}
	return patterns
}

// matchAll matches all events once and counts the matches.
func matchAll(tb testing.TB, set *pattern.Set, events [][]byte, scratch *pattern.Scratch) (matches int) {
	for _, event := range events {
		ids, err := set.Match(event, scratch)
		if err != nil {
			tb.Fatal(err)
		}
		matches += len(ids)
	}
	return matches
}

// TestMatchingCounts compares the numbers of matches with those of event-ruler.
func TestMatchingCounts(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 40,000 events")
	}
	for _, w := range workloads {
		if w.want == unknown {
			continue
		}
		if got := matchAll(t, compile(t, w.rules()), w.events(), new(pattern.Scratch)); got != w.want {
			t.Errorf("%s: got %d matches, want %d", w.name, got, w.want)
		}
	}
}

// TestFamilyCounts compares the numbers of matches of each rule, over all citylots events, with those published.
func TestFamilyCounts(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 213,068 events")
	}
	events := inputs.CityLots(inputs.CityLotsLines)
	for name, rules := range inputs.Families() {
		if strings.HasSuffix(name, "combo") {
			continue // made of the others
		}
		got := make([]int, len(rules))
		set, scratch := compile(t, rules), new(pattern.Scratch)
		for _, event := range events {
			ids, err := set.Match(event, scratch)
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range ids {
				got[id]++
			}
		}
		for i, r := range rules {
			if got[i] != r.Want {
				t.Errorf("%s: %s matches %d events, want %d", name, r.Pattern, got[i], r.Want)
			}
		}
	}
}

// TestMatchingMeasurementsRun runs each measurement once with few events.
func TestMatchingMeasurementsRun(t *testing.T) {
	lots, events := inputs.CityLots(50), inputs.Events(50)
	for _, rules := range inputs.Families() {
		measure(t, compile(t, rules), lots)
	}
	measure(t, compile(t, inputs.Mixed(300, false)), events)
	for shape := range arrayShapes {
		matchArray(t, shape, 50)
	}
	compactAll(t, events)
	addAll(parse(t, inputs.Mixed(300, true)))
}

func BenchmarkMatch(b *testing.B) {
	for _, w := range workloads {
		b.Run(w.name, func(b *testing.B) { report(b, compile(b, w.rules()), w.events()) })
	}
}

func BenchmarkMatchFamily(b *testing.B) {
	families := inputs.Families()
	names := make([]string, 0, len(families))
	for name := range families {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		b.Run(name, func(b *testing.B) { report(b, compile(b, families[name]), cityLots()) })
	}
}

// A rate is how fast a set matches.
type matchRate struct {
	perSecond float64 // events
	multiple  float64 // of encoding/json.Valid
}

// measure matches all events once and checks some of them with encoding/json, by turns, so that both have the same luck.
func measure(tb testing.TB, set *pattern.Set, events [][]byte) matchRate {
	const turns, checkedOf = 4, 8
	var scratch pattern.Scratch
	matchAll(tb, set, events[:min(len(events), 200)], &scratch)
	var matching, checking time.Duration
	checked := 0
	for turn := range turns {
		part := events[turn*len(events)/turns : (turn+1)*len(events)/turns]
		few := part[:(len(part)+checkedOf-1)/checkedOf]
		start := cpuTime()
		matchAll(tb, set, part, &scratch)
		matched := cpuTime()
		for _, event := range few {
			if !json.Valid(event) {
				tb.Fatalf("%s is no JSON", event)
			}
		}
		matching += matched - start
		checking += cpuTime() - matched
		checked += len(few)
	}
	if matching == 0 || checking == 0 {
		return matchRate{} // too little to be measured
	}
	rate := matchRate{perSecond: float64(len(events)) / matching.Seconds()}
	rate.multiple = rate.perSecond * checking.Seconds() / float64(checked)
	return rate
}

// report measures as often as the benchmark asks for, and gives the medians.
func report(b *testing.B, set *pattern.Set, events [][]byte) {
	runtime.GC() // what compiling the rules has left, so that it is not collected at the expense of matching
	var perSecond, multiple []float64
	for b.Loop() {
		rate := measure(b, set, events)
		perSecond, multiple = append(perSecond, rate.perSecond), append(multiple, rate.multiple)
	}
	b.ReportMetric(0, "ns/op") // of a pass over all events, with the checks by encoding/json
	b.ReportMetric(median(perSecond), "events/s")
	b.ReportMetric(median(multiple), "J")
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}

// arrayShapes are events with one long array, and a pattern for them. The time should grow as n does.
var arrayShapes = map[string]struct {
	pattern string
	event   func(n int) string
}{
	"flat": {`{"d":{"tags":[{"exists":true}],"type":[{"exists":true}]}}`, func(n int) string {
		return `{"d":{"tags":[` + list(n, `"t%d"`) + `],"type":"G"}}`
	}},
	"objects": {`{"d":{"a":[{"exists":true}],"b":[{"exists":true}]}}`, func(n int) string {
		return `{"d":[` + list(n, `{"a":"x%d","b":"y"}`) + `]}`
	}},
	"never": {`{"d":{"a":[{"exists":true}],"b":[{"exists":true}]}}`, func(n int) string {
		return `{"d":[` + list(n/2, `{"a":"v%d"},{"b":"v"}`) + `]}`
	}},
	"nested": {`{"a":{"b":{"x":[{"exists":true}],"y":[{"exists":true}]}}}`, func(n int) string {
		return `{"a":[` + list(n, `{"b":[{"x":"%d","y":0}`+strings.Repeat(`,{"x":"z","y":1}`, 9)+`]}`) + `]}`
	}},
	"two": {`{"tags":[{"exists":true}],"cats":[{"exists":true}],"v":["1"]}`, func(n int) string {
		return `{"tags":[` + list(n, `"t%d"`) + `],"cats":[` + list(n, `"c%d"`) + `],"v":"1"}`
	}},
}

// list joins n texts, each with its number.
func list(n int, format string) string {
	texts := make([]string, n)
	for i := range texts {
		texts[i] = fmt.Sprintf(format, i)
	}
	return strings.Join(texts, ",")
}

func BenchmarkMatchLongArray(b *testing.B) {
	for shape := range arrayShapes {
		for _, n := range []int{500, 1000, 2000} {
			b.Run(fmt.Sprintf("%s/%d", shape, n), func(b *testing.B) {
				match := matchArray(b, shape, n)
				for b.Loop() {
					match()
				}
			})
		}
	}
}

// matchArray returns a function that matches an event of a shape.
func matchArray(tb testing.TB, shape string, n int) func() {
	s := arrayShapes[shape]
	set, scratch := compile(tb, []inputs.Rule{{Pattern: []byte(s.pattern)}}), new(pattern.Scratch)
	event := []byte(s.event(n))
	match := func() {
		ids, err := set.Match(event, scratch)
		if want := shape != "never"; err != nil || len(ids) > 0 != want {
			tb.Fatalf("got %v, %v", ids, err)
		}
	}
	match()
	return match
}

func BenchmarkAppendCompact(b *testing.B) {
	for name, events := range map[string]func() [][]byte{"citylots": cityLots, "mix": mix} {
		b.Run(name, func(b *testing.B) {
			var bytes int64
			for _, event := range events() {
				bytes += int64(len(event))
			}
			b.SetBytes(bytes)
			for b.Loop() {
				compactAll(b, events())
			}
		})
	}
}

func compactAll(tb testing.TB, events [][]byte) {
	var dst []byte
	for _, event := range events {
		var err error
		if dst, err = pattern.AppendCompact(dst[:0], event); err != nil {
			tb.Fatal(err)
		}
	}
}

func BenchmarkAddRules(b *testing.B) {
	for name, rules := range map[string]func() []inputs.Rule{"mix": mixed(10_000, true), "exact": scale("exact", 100_000)} {
		b.Run(name, func(b *testing.B) {
			before := heap()
			patterns := parse(b, rules())
			var set *pattern.Set
			for b.Loop() {
				set = addAll(patterns)
			}
			b.ReportMetric(float64(len(patterns)*b.N)/b.Elapsed().Seconds(), "rules/s")
			b.ReportMetric(float64(heap()-before)/float64(len(patterns)), "B/rule") // with the parsed pattern
			runtime.KeepAlive(set)
		})
	}
}

// heap is how much memory is in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func addAll(patterns []*pattern.Pattern) *pattern.Set {
	set := new(pattern.Set)
	for i, p := range patterns {
		set.Add(pattern.ID(i), p)
	}
	return set
}
