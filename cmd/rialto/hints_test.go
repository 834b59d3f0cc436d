package main

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/journal"
)

func TestAFullJournalIsNoMistakeOfOurs(t *testing.T) {
	full := &rialto.Error{Kind: rialto.Unavailable, Message: "The disk of the journal is full.", Cause: fmt.Errorf("%w: 7 bytes are free", journal.ErrFull)}
	what, try := hint(fmt.Errorf("append to shard-0: %w", full))
	if what != full.Message || !strings.Contains(try, "--max-bytes") {
		t.Errorf("got %q, try %q", what, try)
	}
}

func TestACaretPointsAtWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		name, text   string
		line, column int
		want         string
	}{
		{"within a line", `{"a": [5}`, 1, 10, "  {\"a\": [5}\n          ^"},
		{"in a later line", "{\n\n\"a\": 5}", 3, 7, "  \"a\": 5}\n       ^"},
		{"after characters of two units", `{"🙂": 5}`, 1, 9, "  {\"🙂\": 5}\n        ^"},
		{"at the beginning", `5`, 1, 1, "  5\n  ^"},
		{"beyond the text", `{`, 2, 1, ""},
	} {
		if got := pointAt(c.text, c.line, c.column); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}

func TestTheNearestNameIsSuggested(t *testing.T) {
	names := []string{"listen", "data-dir", "nats", "nats-creds", "log-level"}
	for written, want := range map[string]string{"lisen": "listen", "data_dir": "data-dir", "Listen": "listen", "nat": "nats", "banana": "", "loglevel": "log-level"} {
		if got := nearest(written, names); got != want {
			t.Errorf("nearest(%q) = %q, want %q", written, got, want)
		}
	}
}

func TestSizesHaveUnits(t *testing.T) {
	for text, want := range map[string]int64{"20GiB": 20 << 30, "1.5 MiB": 3 << 19, "10MB": 10e6, "512": 512, "1kib": 1024, "7B": 7} {
		var b byteSize
		if err := b.Set(text); err != nil || int64(b) != want {
			t.Errorf("%q is %d bytes, error %v, want %d", text, b, err, want)
		}
	}
	for _, text := range []string{"", "much", "-1", "9e99GiB", "NaN", "Inf"} {
		var b byteSize
		if err := b.Set(text); err == nil {
			t.Errorf("%q is taken for %d bytes", text, b)
		}
	}
}

func TestThePasswordsOfURLsAreNotShown(t *testing.T) {
	for urls, want := range map[string]string{
		"nats://me:secret@n1:4222, nats://n2:4222": "nats://me:xxxxx@n1:4222, nats://n2:4222",
		"nats://t0ken@n1:4222":                     "nats://xxxxx@n1:4222",
		"https://f.example/?code=secret":           "https://f.example/?code=xxxxx",
		"https://f.example/a?b":                    "https://f.example/a?b=xxxxx",
		"://":                                      "(not a URL)",
	} {
		if got := withoutPasswords(urls); got != want {
			t.Errorf("%s: got %q, want %q", urls, got, want)
		}
	}
}

func TestTheSmallestLimitOfAContainerCounts(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s + "\n")} }
	for _, c := range []struct {
		name string
		fs   fstest.MapFS
		want int64 // 0 is no limit
	}{
		{"a container", fstest.MapFS{"proc/self/cgroup": file("0::/"), "sys/fs/cgroup/memory.max": file("536870912")}, 512 << 20},
		{"a service within a slice", fstest.MapFS{
			"proc/self/cgroup": file("0::/system.slice/rialto.service"), "sys/fs/cgroup/system.slice/memory.max": file("1073741824"),
			"sys/fs/cgroup/system.slice/rialto.service/memory.max": file("max"),
		}, 1 << 30},
		{"no limit", fstest.MapFS{"proc/self/cgroup": file("0::/"), "sys/fs/cgroup/memory.max": file("max")}, 0},
		{"the older control groups", fstest.MapFS{"proc/self/cgroup": file("5:memory:/")}, 0},
		{"another system", fstest.MapFS{}, 0},
	} {
		got, ok := containerMemory(c.fs)
		if got != c.want || ok != (c.want > 0) {
			t.Errorf("%s: got %d, %v, want %d", c.name, got, ok, c.want)
		}
	}
}

func TestWhatStrangersWriteCannotCommandTheTerminal(t *testing.T) {
	if got, want := printable("a\x1b[2Jb\u009bc\u202ed"), "a·[2Jb·c·d"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
