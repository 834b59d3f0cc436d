package tuning_test

import (
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/jsonpath"
	"github.com/rialto-events/rialto/internal/tuning"
)

func lines(t testing.TB, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	return slices.DeleteFunc(all, func(line string) bool { return line == "" || line[0] == '#' })
}

// pairs are the lines of a file that have an arrow in their middle.
func pairs(t testing.TB, file string) (list [][2]string) {
	t.Helper()
	for _, line := range lines(t, file) {
		from, to, ok := strings.Cut(line, " => ")
		if !ok {
			t.Fatalf("%s: %q has no arrow", file, line)
		}
		list = append(list, [2]string{from, to})
	}
	return list
}

// A resource of a case with its one tag.
type resource struct{ kind, key, value string }

func (r resource) tags() tuning.Tags { return maps.All(map[string]string{r.key: r.value}) }

// check asks whether the tag may be set, and, which must be the same, whether it can be read. It returns what was read.
func (r resource) check(t *testing.T) (settings any, err error) {
	t.Helper()
	var again error
	if r.kind == "bus" {
		err = tuning.CheckBus(r.key, r.value)
		settings, again = tuning.ForBus(r.tags())
	} else {
		err = tuning.CheckRule(r.key, r.value)
		settings, again = tuning.ForRule(r.tags())
	}
	if (err == nil) != (again == nil) {
		t.Errorf("%s=%q may be set: %v, but read: %v", r.key, r.value, err, again)
	}
	return settings, err
}

func cutResource(line string) resource {
	kind, rest, _ := strings.Cut(line, " ")
	key, value, _ := strings.Cut(rest, " ")
	return resource{kind, key, value}
}

// fields are the members of a struct that are not zero, as JSON.
func fields(t *testing.T, v any) string {
	t.Helper()
	set := make(map[string]any)
	for field, value := range reflect.ValueOf(v).Fields() {
		if path, ok := reflect.TypeAssert[*jsonpath.Path](value); ok && path != nil {
			set[field.Name] = path.String()
		} else if !value.IsZero() {
			set[field.Name] = value.Interface()
		}
	}
	b, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTags(t *testing.T) {
	for _, line := range lines(t, "testdata/tags.txt") {
		tag, want, read := strings.Cut(line, " => ")
		if !read {
			i := strings.LastIndexByte(line, ' ')
			tag, want = line[:i], line[i+1:]
		}
		r := cutResource(tag)
		got, err := r.check(t)
		switch {
		case want == "refused":
			if rialto.KindOf(err) != rialto.Invalid {
				t.Errorf("%s: got %s and %v, want a refusal", tag, fields(t, got), err)
			}
		case err != nil:
			t.Errorf("%s: %v", tag, err)
		case want == "ignored":
			if s := fields(t, got); s != "{}" {
				t.Errorf("%s: got %s, want nothing", tag, s)
			}
		case fields(t, got) != want:
			t.Errorf("%s: got %s, want %s", tag, fields(t, got), want)
		}
	}
}

func TestTexts(t *testing.T) {
	all := lines(t, "testdata/texts.txt")
	for i := 0; i+1 < len(all); i += 2 {
		if _, err := cutResource(all[i]).check(t); err == nil || err.Error() != all[i+1] {
			t.Errorf("%s: got\n%v, want\n%s", all[i], err, all[i+1])
		}
	}
}

// TestWhatCannotBeReadIsLeftOut reads tags that another version wrote among others.
func TestWhatCannotBeReadIsLeftOut(t *testing.T) {
	tags := maps.All(map[string]string{
		"rialto:order-by": "$.detail.id", "rialto:batch": "lots", "rialto:rate": "5/s", "rialto:later": "x", "team": "checkout",
	})
	r, err := tuning.ForRule(tags)
	if r.OrderBy != "$.detail.id" || r.Rate != 5 || r.Batch != nil {
		t.Errorf("got %+v", r)
	}
	if err == nil || strings.Count(err.Error(), "is not valid") != 2 {
		t.Errorf("got the error %v, want one for each of two tags", err)
	}
	b, err := tuning.ForBus(maps.All(map[string]string{"rialto:dedupe-by": "id", "rialto:dedupe-window": "10m"}))
	if err != nil || b.DedupeWindow != 10*time.Minute {
		t.Errorf("got %+v and %v", b, err)
	}
}

func TestExpiry(t *testing.T) {
	made := time.Date(2026, 3, 1, 10, 0, 5, 0, time.UTC)
	for _, p := range pairs(t, "testdata/expiry.txt") {
		got := "unreadable"
		if end, ok := tuning.Expiry([]byte(p[0]), made); ok {
			got = end.Format(time.RFC3339Nano)
		}
		if got != p[1] {
			t.Errorf("%s: got %s, want %s", p[0], got, p[1])
		}
	}
}

func TestKeys(t *testing.T) {
	for _, p := range pairs(t, "testdata/keys.txt") {
		got := "none"
		if key, ok := tuning.AppendKey(nil, []byte(p[0])); ok {
			got = string(key)
		}
		if got != p[1] {
			t.Errorf("%s: got %s, want %s", p[0], got, p[1])
		}
	}
}

// FuzzTags holds what is read against the limits: nothing that is not within them gets through.
func FuzzTags(f *testing.F) {
	for _, line := range lines(f, "testdata/tags.txt") {
		line, _, _ = strings.Cut(line, " => ")
		r := cutResource(strings.TrimSuffix(line, " refused"))
		f.Add(r.key, r.value)
	}
	f.Fuzz(func(t *testing.T, key, value string) {
		for _, kind := range []string{"rule", "bus"} {
			settings, err := resource{kind, key, value}.check(t)
			if err != nil && (rialto.KindOf(err) != rialto.Invalid || !strings.Contains(err.Error(), key)) {
				t.Errorf("%s=%q: %v", key, value, err)
			}
			switch s := settings.(type) {
			case tuning.Rule:
				ok := s.OrderBy == "" || pathLeads(s.OrderBy)
				if b := s.Batch; b != nil {
					ok = ok && b.Size >= 2 && b.Size <= 10_000 && b.Window >= 0 && b.Window <= 5*time.Minute && b.Bytes >= 0 && b.Bytes <= 6<<20
				}
				if b := s.Breaker; b != nil && !b.Off {
					ok = ok && b.Failures > 0 && b.Failures <= 1 && b.Window >= time.Second && b.Window <= time.Hour && b.Volume >= 0
				}
				ok = ok && s.Timeout >= 0 && s.Timeout <= 15*time.Minute && s.Concurrency >= 0 && s.Concurrency <= 1000 && s.Rate >= 0 && s.Rate <= 100_000
				if !ok {
					t.Errorf("%s=%q became %s", key, value, fields(t, s))
				}
			case tuning.Bus:
				if s.DedupeWindow < 0 || s.DedupeWindow > tuning.MaxDedupeWindow || s.DedupeBy != nil && !pathLeads(s.DedupeBy.String()) {
					t.Errorf("%s=%q became %s", key, value, fields(t, s))
				}
			}
		}
	})
}

func pathLeads(path string) bool {
	_, err := jsonpath.Parse(path)
	return err == nil && path != "$"
}

// FuzzValues reads values of events: numbers that are equal have equal keys, and no time to live ends before it began.
func FuzzValues(f *testing.F) {
	for _, file := range []string{"testdata/expiry.txt", "testdata/keys.txt"} {
		for _, p := range pairs(f, file) {
			f.Add(p[0])
		}
	}
	made := time.Date(2026, 3, 1, 10, 0, 5, 0, time.UTC)
	f.Fuzz(func(t *testing.T, value string) {
		if !json.Valid([]byte(value)) || strings.TrimSpace(value) != value {
			return
		}
		if end, ok := tuning.Expiry([]byte(value), made); ok && (end.Year() < 0 || end.Year() > 9999) {
			t.Errorf("%s ends at %s", value, end)
		}
		key, ok := tuning.AppendKey([]byte("salt"), []byte(value))
		if ok != (value != "null") || !strings.HasPrefix(string(key), "salt") {
			t.Errorf("%s has the key %q, %v", value, key, ok)
		}
		if c := value[0]; c == '-' || '0' <= c && c <= '9' {
			again, _ := tuning.AppendKey([]byte("salt"), key[len("salt"):])
			if string(again) != string(key) {
				t.Errorf("%s has the key %s, and that %s", value, key, again)
			}
		}
	})
}
