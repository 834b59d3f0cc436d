package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/spf13/cobra"
)

const (
	exportTries = 10          // connections in a row that bring no event, until an export is given up
	exportPause = time.Second // between two of them
	exportSlack = time.Second // by which an export that is late catches up; beyond it the clock is set anew
)

// exportFlags is the command line of `rialto archive export`.
type exportFlags struct {
	archiveFlags
	file  string
	speed replaySpeed
}

func newArchiveExport() *cobra.Command {
	var f exportFlags
	cmd := &cobra.Command{
		Use: "export ARCHIVE", Short: "Write events into a file, one JSON a line",
		Long: `Writes events as they were accepted, by their time, one JSON a line: a replay into a file, or into another program. A file whose name ends in
.gz or .zst is compressed, and appears under its name once it is whole; then it replaces one that was there. When the connection breaks, it goes on with the
next event. Something damaged ends it, unless --skip-damaged says otherwise.`,
		Example: `  rialto archive export orders --from 24h --to-file orders.jsonl.zst
  rialto archive export orders --pattern '{"detail-type": ["paid"]}' --speed 10x | ./consumer`,
		Args: exactly("the archive", "orders"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.export(cmd, args[0]) },
	}
	cmd.Flags().StringVarP(&f.file, "to-file", "o", "", "`FILE` Where the events go.")
	describe(cmd.Flags(), "to-file", "standard output")
	cmd.Flags().Var(&f.speed, "speed", "`SPEED` 500 for events a second, 10x or 0.5x for times the original pace.")
	describe(cmd.Flags(), "speed", "as fast as possible")
	f.skip.declare(cmd.Flags(), skipUsage)
	f.declare(cmd)
	return cmd
}

func (f *exportFlags) export(cmd *cobra.Command, archive string) error {
	q, err := f.query(cmd)
	if err != nil {
		return err
	}
	path := "archives/" + url.PathEscape(archive)
	e := &export{speed: f.speed, skip: bool(f.skip), gauge: newGauge(cmd.ErrOrStderr()), said: cmd.ErrOrStderr(), told: make(map[string]bool)}
	defer e.gauge.clear()
	if e.gauge != nil {
		var answer struct {
			Events int64 `json:"events"`
		}
		if err := f.client.ask(cmd.Context(), http.MethodGet, path+"/count", q, nil, &answer); err != nil {
			return err
		}
		e.total = answer.Events
	}
	u, err := f.client.at(path + "/export")
	if err != nil {
		return err
	}
	e.open = func(ctx context.Context, from time.Time) (io.ReadCloser, error) {
		if !from.IsZero() {
			q.Set("from", from.UTC().Format(time.RFC3339))
		}
		u.RawQuery = q.Encode()
		resp, err := f.client.native(ctx, http.MethodGet, u, nil)
		if err != nil {
			return nil, err
		}
		return resp.Body, nil
	}
	if f.file == "" || f.file == "-" {
		return e.run(cmd.Context(), cmd.OutOrStdout())
	}
	return writeFile(f.file, func(w io.Writer) error { return e.run(cmd.Context(), w) })
}

// writeFile has a file written, compressed as its name says, which appears once it is whole. What is there under that name and is no file, such as a pipe,
// is written to; a link stays one.
func writeFile(name string, write func(io.Writer) error) error {
	is, err := os.Stat(name)
	if err == nil && !is.Mode().IsRegular() {
		file, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(pack(name, file, write), file.Close())
	}
	if target, err := filepath.EvalSymlinks(name); err == nil {
		name = target
	}
	tmp, err := os.OpenFile(filepath.Join(filepath.Dir(name), ".rialto-"+rand.Text()), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666) // less what umask says
	if err != nil {
		if e, ok := errors.AsType[*fs.PathError](err); ok {
			e.Path = name // nobody has asked for the other one
		}
		return err
	}
	err = pack(name, tmp, write)
	if err == nil && is != nil {
		err = tmp.Chmod(is.Mode().Perm())
	}
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}

// pack has something written into a file that is open.
func pack(name string, file io.Writer, write func(io.Writer) error) (err error) {
	to := io.WriteCloser(nopCloser{file})
	switch filepath.Ext(name) {
	case ".gz":
		to = gzip.NewWriter(file)
	case ".zst":
		if to, err = zstd.NewWriter(file); err != nil {
			return err
		}
	}
	return errors.Join(write(to), to.Close())
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// An export copies the events of an archive, over as many connections as it takes. The archive has an order that never changes, by time. So after a
// break it asks for events from the time of the last one on, and leaves out those up to this one: as many as it has written of that time, and on to the
// one with its ID. Neither alone would do, since an ID may be there twice, if something was imported twice, and retention removes events.
type export struct {
	open  func(ctx context.Context, from time.Time) (io.ReadCloser, error) // a zero from is the beginning
	speed replaySpeed
	skip  bool   // what is damaged is left out
	gauge *gauge // nil shows nothing
	total int64  // for the gauge
	said  io.Writer
	told  map[string]bool // damages, which each connection tells of

	last  exported // that was written
	same  int      // that were written and have the time of the last one, which is one of them
	n     int64    // events that were written
	began time.Time
	first time.Time // time of the first event
	shown time.Time
}

// An exported event is what an export must know of it. If Damaged has something, it is no event, but stands where events are left out.
type exported struct {
	ID      string    `json:"id"`
	Time    time.Time `json:"time"`
	Damaged string    `json:"damaged"`
}

// errBroken is the end of a connection that was not that of the archive.
var errBroken = errors.New("the connection broke")

func (e *export) run(ctx context.Context, to io.Writer) error {
	w := bufio.NewWriterSize(to, 64<<10)
	for tries := 1; ; tries++ {
		was := e.n
		err := e.copy(ctx, w)
		if err == nil {
			return w.Flush()
		}
		if e.n > was {
			tries = 1
		}
		if !errors.Is(err, errBroken) || ctx.Err() != nil || tries >= exportTries {
			return errors.Join(err, w.Flush())
		}
		if err := w.Flush(); err != nil {
			return err
		}
		if err := waitUntil(ctx, time.Now().Add(exportPause)); err != nil {
			return err
		}
	}
}

// copy copies what one connection brings. The error is errBroken if another one may bring more.
func (e *export) copy(ctx context.Context, to *bufio.Writer) error {
	body, err := e.open(ctx, e.last.Time)
	if _, refused := errors.AsType[*failure](err); err != nil && (refused || e.n == 0) {
		return err
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	defer body.Close()
	known := e.n == 0 // whether the last event that was written has come by
	passed := 0       // that have its time, and came by again
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	for lines.Scan() {
		var event exported
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			return fmt.Errorf("%w in the middle of an event: %w", errBroken, err)
		}
		if event.Damaged != "" && !e.skip {
			return errDamaged(event.Damaged)
		}
		if event.Damaged != "" {
			e.tell(event.Damaged)
			continue
		}
		if !known {
			if event.Time.After(e.last.Time) {
				return e.lost()
			}
			if event.Time.Equal(e.last.Time) {
				passed++
			}
			known = passed >= e.same && event.ID == e.last.ID
			continue
		}
		if err := e.await(ctx, to, event.Time); err != nil {
			return err
		}
		if _, err := to.Write(append(lines.Bytes(), '\n')); err != nil {
			return err
		}
		if e.same++; !event.Time.Equal(e.last.Time) {
			e.same = 1
		}
		e.last = event
		e.n++
		e.show()
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%w after %d events: %w", errBroken, e.n, err)
	}
	if !known && passed > 0 {
		return e.lost()
	}
	return nil
}

// lost says that it cannot go on where it was.
func (e *export) lost() error {
	return &failure{message: "The archive has lost the event " + e.last.ID + ", after which it was to go on.", try: "the export again: it begins anew"}
}

// tell tells of what was left out, once.
func (e *export) tell(damaged string) {
	if !e.told[damaged] {
		e.told[damaged] = true
		e.gauge.clear()
		tellDamaged(e.said, []string{damaged})
	}
}

// await waits until the next event is due.
func (e *export) await(ctx context.Context, to *bufio.Writer, event time.Time) error {
	if e.speed == (replaySpeed{}) {
		return nil
	}
	now := time.Now()
	if e.n == 0 {
		e.began, e.first = now, event
	}
	after := float64(e.n) / e.speed.PerSecond
	if e.speed.Times > 0 {
		after = event.Sub(e.first).Seconds() / e.speed.Times
	}
	due := e.began.Add(time.Duration(min(after, longestExport.Seconds()) * float64(time.Second)))
	if late := now.Sub(due); late > exportSlack {
		e.began = e.began.Add(late)
	}
	if !due.After(now) {
		return nil
	}
	if err := to.Flush(); err != nil { // whoever reads along does so in time
		return err
	}
	e.show()
	return waitUntil(ctx, due)
}

const longestExport = 200 * 365 * 24 * time.Hour // a [time.Duration] has 292 years

func waitUntil(ctx context.Context, at time.Time) error {
	t := time.NewTimer(time.Until(at))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// show shows now and then how far it is.
func (e *export) show() {
	if now := time.Now(); e.gauge != nil && now.Sub(e.shown) >= progressEvery {
		e.shown = now
		e.gauge.show(e.n, e.total, "exporting", true)
	}
}
