package logs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/targets/logs"
	"github.com/rialto-events/rialto/target"
	"github.com/rialto-events/rialto/target/targettest"
)

var scope = rialto.Scope{Account: "000000000000", Region: "us-east-1"}

func definition(group string) *target.Definition {
	return &target.Definition{ARN: scope.ARN("logs", "log-group:"+group).String(), Rule: scope.RuleARN("default", "r")}
}

func fileOf(folder, name string) string {
	return filepath.Join(folder, "000000000000", "us-east-1", name)
}

func open(t *testing.T, folder string, o logs.Options) *logs.Sender {
	t.Helper()
	s := logs.New(folder, o)
	t.Cleanup(s.Close)
	return s
}

// lines reads a file of lines, each of which must be whole.
func lines(t *testing.T, path string) []map[string]json.RawMessage {
	t.Helper()
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 0 && b[len(b)-1] != '\n' {
		t.Errorf("%s does not end with a whole line", path)
	}
	var all []map[string]json.RawMessage
	for line := range strings.Lines(string(b)) {
		var l map[string]json.RawMessage
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%s: the line %.80q is not JSON: %v", path, line, err)
		}
		all = append(all, l)
	}
	return all
}

func TestSender(t *testing.T) {
	targettest.Run(t, func(t *testing.T) targettest.Subject {
		folder := t.TempDir()
		faults := map[targettest.Fault]targettest.Misbehaved{
			targettest.Gone: {definition(""), definition("two words"), definition(strings.Repeat("x", 201)),
				{ARN: "arn:aws:logs:us-east-1:../../x:log-group:orders"}, {ARN: "arn:aws:sqs:us-east-1:000000000000:orders"}},
		}
		faults[targettest.Down] = targettest.Misbehaved{definition("a-folder")}
		if err := os.MkdirAll(fileOf(folder, "a-folder.jsonl"), 0o700); err != nil {
			t.Fatal(err)
		}
		if runtime.GOOS == "linux" {
			if err := os.Symlink("/dev/full", fileOf(folder, "full.jsonl")); err != nil {
				t.Fatal(err)
			}
			faults[targettest.Down] = append(faults[targettest.Down], definition("full"))
		}
		return targettest.Subject{
			Sender: open(t, folder, logs.Options{}),
			Works:  definition("works:*"),
			Received: func() (got [][]byte) {
				for _, l := range lines(t, fileOf(folder, "works.jsonl")) {
					got = append(got, l["message"])
				}
				return got
			},
			Faults: faults,
			Equal: func(sent, got []byte) bool {
				if json.Valid(sent) {
					return bytes.Equal(sent, got)
				}
				var text string
				return json.Unmarshal(got, &text) == nil && text == string(sent)
			},
			MaxBytes: 2 << 20,
		}
	})
}

func TestLine(t *testing.T) {
	const event = `{"version":"0","id":"1","time":"2026-03-01T10:00:05Z","detail":{}}`
	transformer := &target.Transformer{Template: "…"}
	for _, tc := range []struct {
		name        string
		transformer *target.Transformer
		payload     string
		want        string
	}{
		{"the event", nil, event, `"timestamp":1772359205000,"message":` + event},
		{"a text", transformer, "paid\nlate", `"timestamp":1772359205000,"message":"paid\nlate"`},
		{"JSON on several lines", transformer, "{\n  \"a\": 1\r\n}", `"timestamp":1772359205000,"message":{"a":1}`},
		{"a name that is there twice", transformer, `{"a":1,"a":2}`, `"timestamp":1772359205000,"message":{"a":1,"a":2}`},
		{"time and message", transformer, `{"timestamp":1772359205408,"message":"paid"}`, `"timestamp":1772359205408,"message":"paid"`},
		{"time as a text", transformer, `{"message":{"a":1},"timestamp":"2026-03-01T10:00:06Z"}`, `"timestamp":1772359206000,"message":{"a":1}`},
		{"a time that is none", transformer, `{"timestamp":"soon","message":"paid"}`, `"timestamp":1772359205000,"message":{"timestamp":"soon","message":"paid"}`},
		{"an event that looks like it", nil, `{"timestamp":1,"message":"x"}`, `"timestamp":1772359205000,"message":{"timestamp":1,"message":"x"}`},
	} {
		folder := t.TempDir()
		d := definition("g")
		d.Transformer = tc.transformer
		m := &target.Message{Definition: d, EventID: "1", Event: []byte(event), Payload: []byte(tc.payload)}
		if err := open(t, folder, logs.Options{}).Send(t.Context(), m); err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		got, err := os.ReadFile(fileOf(folder, "g.jsonl"))
		at, message, _ := strings.Cut(tc.want, ",")
		want := "{" + at + `,"eventId":"1","rule":"arn:aws:events:us-east-1:000000000000:rule/r",` + message + "}\n"
		if err != nil || string(got) != want {
			t.Errorf("%s: got  %s (%v)\nwant %s", tc.name, got, err, want)
		}
	}
}

// A group's name is no path, whatever it is made of.
func TestNamesStayInTheFolder(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "logs")
	s := open(t, folder, logs.Options{})
	for name, file := range map[string]string{
		"/aws/events/orders": "+aws+events+orders.jsonl",
		"../../../escaped":   "..+..+..+escaped.jsonl",
		"..":                 "...jsonl",
		"/":                  "+.jsonl",
		"a/../b":             "a+..+b.jsonl",
		"orders.jsonl.1":     "orders.jsonl.1.jsonl",
	} {
		if err := s.Send(t.Context(), &target.Message{Definition: definition(name), Payload: []byte(`1`)}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if len(lines(t, fileOf(folder, file))) != 1 {
			t.Errorf("%s is not in %s", name, file)
		}
	}
	if entries, err := os.ReadDir(filepath.Dir(folder)); err != nil || len(entries) != 1 {
		t.Errorf("something is beside the folder: %v, %v", entries, err)
	}
}

func TestTornLineIsCutOff(t *testing.T) {
	long := strings.Repeat("x", 200_000)
	for _, tc := range []struct{ name, before, kept string }{
		{"nothing", "", ""},
		{"whole lines", "{\"message\":1}\n", "{\"message\":1}\n"},
		{"a torn line", "{\"message\":1}\n{\"mess", "{\"message\":1}\n"},
		{"a long torn line", "{\"message\":1}\n" + long, "{\"message\":1}\n"},
		{"only a torn line", long, ""},
		{"zeros that a file system left", "{\"message\":1}\n\x00\x00\x00", "{\"message\":1}\n"},
	} {
		folder := t.TempDir()
		path := fileOf(folder, "g.jsonl")
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(tc.before), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := open(t, folder, logs.Options{}).Send(t.Context(), &target.Message{Definition: definition("g"), Payload: []byte(`2`)}); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || !strings.HasPrefix(string(got), tc.kept+`{"timestamp":`) {
			t.Errorf("%s: the file is %.80q (%v)", tc.name, got, err)
		}
		lines(t, path)
	}
}

// Files are put aside by size, in order, and no more are kept than asked for; none of the lines that are kept is missing.
func TestRotation(t *testing.T) {
	folder := t.TempDir()
	s := open(t, folder, logs.Options{MaxBytes: 1000, MaxFiles: 3})
	for i := range 100 {
		if err := s.Send(t.Context(), &target.Message{Definition: definition("g"), Payload: fmt.Appendf(nil, "%d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, name := range []string{"g.jsonl.2", "g.jsonl.1", "g.jsonl"} {
		path := fileOf(folder, name)
		if info, err := os.Stat(path); err != nil || info.Size() > 1000 || info.Size() == 0 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
		for _, l := range lines(t, path) {
			got = append(got, string(l["message"]))
		}
	}
	for i, n := range got {
		if want := fmt.Sprint(100 - len(got) + i); n != want {
			t.Fatalf("line %d is %s, want %s", i, n, want)
		}
	}
	if entries, _ := os.ReadDir(filepath.Dir(fileOf(folder, "g"))); len(entries) != 3 {
		t.Errorf("there are %d files, want 3", len(entries))
	}
}

// More groups than files may be open: each line is in its own file all the same.
func TestManyGroups(t *testing.T) {
	folder := t.TempDir()
	s := open(t, folder, logs.Options{})
	const groups = 300
	for round := range 2 {
		var wg sync.WaitGroup
		for i := range groups {
			wg.Go(func() {
				m := &target.Message{Definition: definition(fmt.Sprint("g", i)), Payload: fmt.Append(nil, i)}
				if err := s.Send(t.Context(), m); err != nil {
					t.Errorf("round %d, group %d: %v", round, i, err)
				}
			})
		}
		wg.Wait()
	}
	for i := range groups {
		got := lines(t, fileOf(folder, fmt.Sprintf("g%d.jsonl", i)))
		if len(got) != 2 || string(got[0]["message"]) != fmt.Sprint(i) {
			t.Errorf("group %d has %v", i, got)
		}
	}
}

func TestOutput(t *testing.T) {
	folder := t.TempDir()
	s := logs.New(folder, logs.Options{})
	s.Output(scope, "/aws/lambda/bill", time.UnixMilli(5), "hello \x1b[1mworld\xff")
	s.Output(scope, "not a name", time.UnixMilli(5), "lost")
	s.Close()
	s.Output(scope, "/aws/lambda/bill", time.UnixMilli(6), "too late")
	got, err := os.ReadFile(fileOf(folder, "+aws+lambda+bill.jsonl"))
	if want := `{"timestamp":5,"message":"hello \u001b[1mworld\ufffd"}` + "\n"; err != nil || string(got) != want {
		t.Errorf("got %s (%v), want %s", got, err, want)
	}
	err = s.Send(context.Background(), &target.Message{Definition: definition("g"), Payload: []byte(`1`)})
	if err == nil || target.Permanent(err) {
		t.Errorf("a send to closed files: %v", err)
	}
}

// FuzzLine: whatever the payload is, it becomes one line of valid JSON.
func FuzzLine(f *testing.F) {
	f.Add([]byte(`{"timestamp":1,"message":"x"}`))
	f.Add([]byte("\"a\"\n\"b\""))
	f.Add([]byte("{\n\"timestamp\": \"2026-03-01T10:00:05Z\",\n\"message\": [1,\n2]}"))
	f.Add([]byte{0xff, '"', '\\', 0})
	folder := f.TempDir()
	s := logs.New(folder, logs.Options{MaxBytes: 1})
	f.Cleanup(s.Close)
	d := definition("g")
	d.Transformer = &target.Transformer{}
	f.Fuzz(func(t *testing.T, payload []byte) {
		if err := s.Send(t.Context(), &target.Message{Definition: d, Payload: payload, Event: payload}); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(fileOf(folder, "g.jsonl"))
		if err != nil || !json.Valid(b) || bytes.IndexByte(b, '\n') != len(b)-1 {
			t.Errorf("%q became %q (%v)", payload, b, err)
		}
	})
}
