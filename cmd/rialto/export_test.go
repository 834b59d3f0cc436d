package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

// TestExportGoesOn breaks connections. Each event is written once, in order.
func TestExportGoesOn(t *testing.T) {
	event := func(n int) string { // three events a second
		at := time.Date(2026, 3, 1, 10, 0, n/3, 0, time.UTC)
		return fmt.Sprintf(`{"id":"%d","time":"%s"}`, n, at.Format(time.RFC3339)) + "\n"
	}
	var all string
	for n := range 10 {
		all += event(n)
	}
	rest := func(from time.Time) string { // what the server has from a time on
		second := 0
		if !from.IsZero() {
			second = from.Second()
		}
		return all[len(event(0))*3*second:]
	}
	broken := errors.New("connection reset")
	for _, c := range []struct {
		name   string
		answer func(connection int, from time.Time) (string, error) // what comes, and how it ends
		want   string
		err    string // part of it; "" is none
	}{
		{"at once", func(_ int, from time.Time) (string, error) { return rest(from), io.EOF }, all, ""},
		{"in the middle of events", func(n int, from time.Time) (string, error) {
			text := rest(from)
			if most := len(event(0))*5/2 + n; n < 9 && len(text) > most {
				return text[:most], broken
			}
			return text, io.EOF
		}, all, ""},
		{"before each event", func(n int, from time.Time) (string, error) {
			text := rest(from)
			if n < 6 {
				return text[:len(event(0))*(1+n%3)], broken
			}
			return text, io.EOF
		}, all, ""},
		{"for good", func(n int, from time.Time) (string, error) {
			if n == 1 {
				return rest(from)[:2*len(event(0))], broken
			}
			return "", broken
		}, event(0) + event(1), "connection broke after 2 events"},
		{"never begun", func(int, time.Time) (string, error) { return "", nil }, "", "refused"},
		{"retention of one of several that are of a time", func(n int, from time.Time) (string, error) {
			if n == 1 {
				return rest(from)[:2*len(event(0))], broken
			}
			return event(1) + event(2), io.EOF
		}, event(0) + event(1), "has lost the event 1"},
		{"retention", func(n int, from time.Time) (string, error) {
			if n == 1 {
				return rest(from)[:4*len(event(0))], broken
			}
			return event(6), io.EOF
		}, all[:4*len(event(0))], "has lost the event 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				connections := 0
				e := &export{open: func(_ context.Context, from time.Time) (io.ReadCloser, error) {
					connections++
					text, end := c.answer(connections, from)
					if end == nil {
						return nil, errors.New("refused")
					}
					if end == io.EOF {
						return io.NopCloser(strings.NewReader(text)), nil
					}
					return io.NopCloser(io.MultiReader(strings.NewReader(text), iotest.ErrReader(end))), nil
				}}
				var got strings.Builder
				err := e.run(t.Context(), &got)
				if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
					t.Errorf("the export ends with %v", err)
				}
				if got.String() != c.want {
					t.Errorf("it wrote\n%s\nwant\n%s", got.String(), c.want)
				}
			})
		})
	}
}

// TestExportKnowsWhatWasImportedTwice breaks the connection among events of one time of which each is there twice, with one ID.
func TestExportKnowsWhatWasImportedTwice(t *testing.T) {
	var all []string
	for _, id := range []string{"a", "b", "a", "b", "c"} {
		all = append(all, `{"id":"`+id+`","time":"2026-03-01T10:00:00Z"}`+"\n")
	}
	for written := 1; written < len(all); written++ {
		synctest.Test(t, func(t *testing.T) {
			n := 0
			e := &export{open: func(context.Context, time.Time) (io.ReadCloser, error) {
				if n++; n == 1 {
					return io.NopCloser(io.MultiReader(strings.NewReader(strings.Join(all[:written], "")), iotest.ErrReader(errors.New("reset")))), nil
				}
				return io.NopCloser(strings.NewReader(strings.Join(all, ""))), nil
			}}
			var got strings.Builder
			if err := e.run(t.Context(), &got); err != nil || got.String() != strings.Join(all, "") {
				t.Errorf("after a break behind %d events it has written\n%s, %v", written, got.String(), err)
			}
		})
	}
}

// TestWriteFile writes files where there is something already. What was there is left alone unless all is written.
func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "events.jsonl"), filepath.Join(dir, "link.jsonl")
	if err := errors.Join(os.WriteFile(file, []byte("before"), 0o640), os.Symlink(file, link)); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if err := writeFile(file, func(w io.Writer) error { _, err := io.WriteString(w, "half"); return errors.Join(err, broken) }); !errors.Is(err, broken) {
		t.Errorf("what cannot be written ends with %v", err)
	}
	text, err := os.ReadFile(file)
	if err != nil || string(text) != "before" {
		t.Errorf("the file has %q, %v", text, err)
	}
	if err := writeFile(link, func(w io.Writer) error { _, err := io.WriteString(w, "after"); return err }); err != nil {
		t.Error(err)
	}
	text, err = os.ReadFile(file)
	info, err2 := os.Lstat(file)
	at, err3 := os.Readlink(link)
	if err := errors.Join(err, err2, err3); err != nil || string(text) != "after" || info.Mode().Perm() != 0o640 || at != file {
		t.Errorf("the file has %q and the mode %s, and the link leads to %s, %v", text, info.Mode(), at, err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 {
		t.Errorf("the folder has %v, %v", left, err)
	}
}

// TestReplayNames makes up names that a replay may have, of archives with every length of a name.
func TestReplayNames(t *testing.T) {
	now := time.Now()
	for n := 1; n <= 48; n++ {
		archive := strings.Repeat("a", n)
		if name := newReplayName(archive, now); len(name) > 64 || name == newReplayName(archive, now.Add(time.Millisecond)) {
			t.Errorf("a replay of %s is called %s", archive, name)
		}
	}
}

// TestExportTellsOfDamage has the server leave out something, of which each connection tells. It is told once, and not written.
func TestExportTellsOfDamage(t *testing.T) {
	const first, damage, last = `{"id":"1","time":"2026-03-01T10:00:00Z"}` + "\n", `{"damaged":"block 3 is damaged"}` + "\n", `{"id":"2","time":"2026-03-01T10:00:00Z"}` + "\n"
	synctest.Test(t, func(t *testing.T) {
		var got, said strings.Builder
		n := 0
		e := &export{skip: true, told: make(map[string]bool), said: &said, open: func(context.Context, time.Time) (io.ReadCloser, error) {
			if n++; n == 1 {
				return io.NopCloser(io.MultiReader(strings.NewReader(first+damage), iotest.ErrReader(errors.New("reset")))), nil
			}
			return io.NopCloser(strings.NewReader(first + damage + last)), nil
		}}
		if err := e.run(t.Context(), &got); err != nil {
			t.Fatal(err)
		}
		if got.String() != first+last || said.String() != "Block 3 is damaged.\n" {
			t.Errorf("it wrote\n%s\nand said\n%s", got.String(), said.String())
		}
		got.Reset()
		n = 0
		e = &export{open: e.open}
		if err := e.run(t.Context(), &got); err == nil || err.Error() != "Block 3 is damaged." || n != 1 || got.String() != first {
			t.Errorf("if nothing is to be left out, it ends with %v after %d connections, and has written\n%s", err, n, got.String())
		}
	})
}

// TestExportSpeed exports ten events of ten seconds at some speeds.
func TestExportSpeed(t *testing.T) {
	var all string
	for n := range 10 {
		all += fmt.Sprintf(`{"id":"%d","time":"2026-03-01T10:00:%02dZ"}`, n, n) + "\n"
	}
	for speed, want := range map[replaySpeed]time.Duration{
		{}: 0, {PerSecond: 2}: 4500 * time.Millisecond, {Times: 1}: 9 * time.Second, {Times: 0.5}: 18 * time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			e := &export{speed: speed, open: func(context.Context, time.Time) (io.ReadCloser, error) {
				return io.NopCloser(strings.NewReader(all)), nil
			}}
			began := time.Now()
			if err := e.run(t.Context(), io.Discard); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took != want {
				t.Errorf("at %+v it took %s, want %s", speed, took, want)
			}
		})
	}
}
