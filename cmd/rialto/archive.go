package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// What is imported by one request, which the server bounds at 10000 events and 8 MiB.
const (
	importEvents = 5000
	importBytes  = 4 << 20
)

// An archiveState is what the server says of an archive.
type archiveState struct {
	Name     string    `json:"name"`
	Bus      string    `json:"bus"`
	Pattern  string    `json:"pattern,omitempty"`
	Days     int       `json:"retentionDays"`
	Created  time.Time `json:"created"`
	Events   int64     `json:"events"`
	Bytes    int64     `json:"bytes"`
	Stored   int64     `json:"stored"`
	Segments int       `json:"segments"`
	First    time.Time `json:"first,omitzero"`
	Last     time.Time `json:"last,omitzero"`
}

// An archivedEvent is one of an archive.
type archivedEvent struct {
	Accepted time.Time       `json:"accepted"`
	Event    json.RawMessage `json:"event"`
}

func newArchive() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "archive COMMAND",
		Short: "Look into archives, carry events out of them and into them",
		Example: `  rialto archive list
  rialto archive query orders --from 2h --pattern '{"detail-type": ["paid"]}'
  rialto archive export orders --to-file orders.jsonl.zst
  rialto archive compare orders --is '{"detail": {"total": [{"numeric": [">", 100]}]}}'`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newArchiveList(), newArchiveEvents("query", "events", "Show events, by their time"),
		newArchiveEvents("sample", "sample", "Show some events, drawn evenly"), newArchiveCount(), newArchiveExport(), newArchiveImport(), newArchiveCompare())
	return cmd
}

func newArchiveList() *cobra.Command {
	var f redriveIDFlags
	cmd := &cobra.Command{
		Use: "list", Short: "List archives with what they have", Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var answer struct {
				Archives []archiveState `json:"archives"`
			}
			if err := f.client.ask(cmd.Context(), http.MethodGet, "archives", nil, nil, &answer); err != nil {
				return err
			}
			if f.output == asJSON {
				return indented(cmd.OutOrStdout(), answer)
			}
			if len(answer.Archives) == 0 {
				fmt.Fprintln(cmd.ErrOrStderr(), "There is none. The AWS CLI makes one: aws events create-archive")
				return nil
			}
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "ARCHIVE\tBUS\tEVENTS\tBYTES\tON DISK\tDAYS\tFIRST\tLAST")
			for _, a := range answer.Archives {
				fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d\t%s\t%s\n", a.Name, a.Bus, a.Events, a.Bytes, a.Stored, a.Days, shortTime(a.First), shortTime(a.Last))
			}
			return t.Flush()
		},
	}
	f.declare(cmd)
	return cmd
}

func shortTime(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

// archiveFlags is the command line of what asks about the events of an archive.
type archiveFlags struct {
	client client
	window windowFlags
	output outputFormat
	skip   skipDamaged
}

// skipDamaged is a flag: what is damaged is left out, and told of, instead of ending everything.
type skipDamaged bool

func (f *skipDamaged) declare(fs *pflag.FlagSet, usage string) {
	fs.BoolVar((*bool)(f), "skip-damaged", false, usage)
}

const skipUsage = "Leave out what is damaged, and say what that is."

// set asks the server for it.
func (f skipDamaged) set(q url.Values) {
	if f {
		q.Set("damaged", "skip")
	}
}

// tellDamaged tells of what was left out.
func tellDamaged(to io.Writer, damaged []string) {
	for _, d := range damaged {
		fmt.Fprintln(to, sentence(printable(d)))
	}
}

func (f *archiveFlags) declare(cmd *cobra.Command) {
	cmd.Flags().SortFlags = false
	f.window.declare(cmd.Flags())
	f.client.declare(cmd.Flags())
}

// query is the window as the server takes it. A large archive takes its time, so the answer may.
func (f *archiveFlags) query(cmd *cobra.Command) (url.Values, error) {
	f.client.endless = true
	q := url.Values{}
	f.skip.set(q)
	return q, f.window.set(cmd, q.Set)
}

func newArchiveEvents(name, path, short string) *cobra.Command {
	var f archiveFlags
	limit := count(10)
	var id string
	cmd := &cobra.Command{
		Use: name + " ARCHIVE", Short: short + ", one JSON a line",
		Args: exactly("the archive", "orders"),
		RunE: func(cmd *cobra.Command, args []string) error {
			q, err := f.query(cmd)
			if err != nil {
				return err
			}
			if name == "sample" && limit > mostSample {
				return usagef(cmd.CommandPath()+" orders --limit 1000", "A sample has at most %d events.", mostSample)
			}
			if id != "" {
				var e archivedEvent
				if err := f.client.ask(cmd.Context(), http.MethodGet, "archives/"+url.PathEscape(args[0])+"/events/"+url.PathEscape(id), nil, nil, &e); err != nil {
					return err
				}
				return printEvent(cmd.OutOrStdout(), e.Event)
			}
			return f.events(cmd, "archives/"+url.PathEscape(args[0])+"/"+path, q, int(limit))
		},
	}
	cmd.Flags().Var(&limit, "limit", "`N` So many events.")
	if name == "query" {
		cmd.Flags().StringVar(&id, "id", "", "`ID` The one event that has this id, whatever its time.")
		describe(cmd.Flags(), "id", "any event")
	} else {
		f.skip.declare(cmd.Flags(), skipUsage) // query always does so
	}
	f.declare(cmd)
	return cmd
}

// mostSample is how many events the server draws at once.
const mostSample = 1000

// events prints up to so many events, in as many answers as it takes.
func (f *archiveFlags) events(cmd *cobra.Command, path string, q url.Values, limit int) error {
	const most = mostSample // in one answer
	for limit > 0 {
		q.Set("limit", strconv.Itoa(min(limit, most)))
		var answer struct {
			Events  []archivedEvent `json:"events"`
			Damaged []string        `json:"damaged"`
			Next    string          `json:"next"`
		}
		if err := f.client.ask(cmd.Context(), http.MethodGet, path, q, nil, &answer); err != nil {
			return err
		}
		tellDamaged(cmd.ErrOrStderr(), answer.Damaged)
		for _, e := range answer.Events {
			if err := printEvent(cmd.OutOrStdout(), e.Event); err != nil {
				return err
			}
		}
		if limit -= len(answer.Events); answer.Next == "" {
			break
		}
		q.Set("after", answer.Next)
	}
	return nil
}

// printEvent prints an event as it is, unless somebody looks at it.
func printEvent(w io.Writer, event []byte) error {
	text := string(event)
	if isTerminal(w) {
		text = printable(text)
	}
	_, err := fmt.Fprintln(w, text)
	return err
}

func newArchiveCount() *cobra.Command {
	var f archiveFlags
	cmd := &cobra.Command{
		Use: "count ARCHIVE", Short: "Count events",
		Args: exactly("the archive", "orders"),
		RunE: func(cmd *cobra.Command, args []string) error {
			q, err := f.query(cmd)
			if err != nil {
				return err
			}
			var answer struct {
				Events  int64    `json:"events"`
				Damaged []string `json:"damaged"`
			}
			if err := f.client.ask(cmd.Context(), http.MethodGet, "archives/"+url.PathEscape(args[0])+"/count", q, nil, &answer); err != nil {
				return err
			}
			tellDamaged(cmd.ErrOrStderr(), answer.Damaged)
			fmt.Fprintln(cmd.OutOrStdout(), answer.Events)
			return nil
		},
	}
	f.skip.declare(cmd.Flags(), skipUsage)
	f.declare(cmd)
	return cmd
}

// openLines opens a file of events, which may be compressed.
func openLines(name string, stdin io.Reader) (io.Reader, func(), error) {
	if name == "-" {
		return stdin, func() {}, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	shut := func() { _ = file.Close() }
	switch filepath.Ext(name) {
	case ".gz":
		r, err := gzip.NewReader(file)
		if err != nil {
			shut()
			return nil, nil, aboutLines(name, err)
		}
		return r, shut, nil
	case ".zst":
		r, err := zstd.NewReader(file)
		if err != nil {
			shut()
			return nil, nil, aboutLines(name, err)
		}
		return r, func() { r.Close(); shut() }, nil
	}
	return file, shut, nil
}

// aboutLines says what is wrong with a file of events.
func aboutLines(name string, err error) error {
	switch {
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, zstd.ErrMagicMismatch):
		return &failure{message: name + " is not compressed as its name says.", try: "its right ending, which is .gz, .zst or any other for lines as they are", cause: err}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &failure{message: name + " ends in the middle: it is not whole.", try: "a whole copy of it", cause: err}
	case errors.Is(err, bufio.ErrTooLong):
		return &failure{message: fmt.Sprintf("A line of %s has more than %d bytes.", name, maxLine), try: "one event a line, as rialto archive export writes them", cause: err}
	}
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return err
	}
	return &failure{message: fmt.Sprintf("%s cannot be read: %v.", name, err), try: "another copy of it", cause: err}
}

func newArchiveImport() *cobra.Command {
	var c client
	cmd := &cobra.Command{
		Use: "import ARCHIVE FILE", Short: "Store the events of a file in an archive",
		Long: `Stores events in an archive, one JSON a line, as export writes them; - is standard input. A file whose name ends in .gz or .zst is decompressed. The
events keep their ids and times. No rule gets them, until they are replayed.`,
		Example: "  rialto archive import staging orders.jsonl.zst",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usagef("rialto archive import staging orders.jsonl.zst", "%s needs an archive and a file.", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			lines, shut, err := openLines(args[1], cmd.InOrStdin())
			if err != nil {
				return err
			}
			defer shut()
			im := &importing{client: &c, archive: args[0], file: args[1], progress: newProgress(cmd.ErrOrStderr(), 0)}
			if err := im.run(cmd.Context(), lines); err != nil {
				im.tell(cmd.ErrOrStderr())
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d events imported\n", im.stored.events)
			return nil
		},
	}
	c.declare(cmd.Flags())
	return cmd
}

// An importing sends the lines of a file to the server, a few thousand at once.
type importing struct {
	client        *client
	archive, file string
	progress      *progress

	stored imported
	next   imported     // that are gathered, or on their way
	doubt  bool         // it is not known whether those are stored
	body   bytes.Buffer // of them
}

// An imported is how much of a file.
type imported struct{ events, lines int }

// run sends all lines. Empty ones go along, so that the server counts as a reader of the file would.
func (im *importing) run(ctx context.Context, from io.Reader) error {
	defer im.progress.done()
	scan := bufio.NewScanner(from)
	scan.Buffer(make([]byte, 64<<10), maxLine)
	for scan.Scan() {
		line := bytes.TrimSpace(scan.Bytes())
		if im.next.lines > 0 && (im.next.lines == importEvents || im.body.Len()+len(line) > importBytes) {
			if err := im.send(ctx); err != nil {
				return err
			}
		}
		im.body.Write(line)
		im.body.WriteByte('\n')
		im.next.lines++
		if len(line) > 0 {
			im.next.events++
			im.progress.add(len(line))
		}
	}
	if err := scan.Err(); err != nil {
		return aboutLines(im.file, err)
	}
	return im.send(ctx) // also nothing, so that an archive that is not there is told of
}

// send sends what is gathered. An interrupt waits for the answer: otherwise nobody would know whether it is stored.
func (im *importing) send(ctx context.Context) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	u, err := im.client.at("archives/" + url.PathEscape(im.archive) + "/import")
	if err != nil {
		return err
	}
	u.RawQuery = url.Values{"line": {strconv.Itoa(im.stored.lines + 1)}}.Encode()
	resp, err := im.client.native(context.WithoutCancel(ctx), http.MethodPost, u, im.body.Bytes())
	if err != nil {
		_, cut := errors.AsType[*url.Error](err) // there was no answer
		im.doubt = cut && !errors.Is(err, syscall.ECONNREFUSED)
		im.progress.clear()
		return err
	}
	im.stored.events, im.stored.lines = im.stored.events+im.next.events, im.stored.lines+im.next.lines
	im.next = imported{}
	im.body.Reset()
	return resp.Body.Close()
}

// tell says how far it came, for whoever wants to go on there.
func (im *importing) tell(w io.Writer) {
	if im.stored.events > 0 {
		fmt.Fprintf(w, "%d events were imported, those of the first %d lines. What follows: tail -n +%d\n", im.stored.events, im.stored.lines, im.stored.lines+1)
	}
	if im.doubt {
		fmt.Fprintf(w, "It is not known whether the next %d events were, too. rialto archive count says how many there are.\n", im.next.events)
	}
}

// compareFlags is the command line of `rialto archive compare`.
type compareFlags struct {
	archiveFlags
	rule, was, is string
	examples      int
}

func newArchiveCompare() *cobra.Command {
	var f compareFlags
	cmd := &cobra.Command{
		Use: "compare ARCHIVE", Short: "Say what another pattern of a rule would match, and no longer match",
		Long: `Holds two event patterns against the events of an archive: how many both match, how many only one of them does, and some of these. An archive that
has a pattern itself knows nothing of the events that it did not keep.`,
		Example: `  rialto archive compare orders --rule billing --is '{"detail": {"total": [{"numeric": [">", 100]}]}}'
  rialto archive compare orders --from 7d --was @old.json --is @new.json`,
		Args: exactly("the archive", `orders --rule billing --is '{"source": ["store"]}'`),
		RunE: func(cmd *cobra.Command, args []string) error {
			asked, err := f.asked(cmd)
			if err != nil {
				return err
			}
			return f.compare(cmd, args[0], asked)
		},
	}
	cmd.Flags().StringVar(&f.rule, "rule", "", "`RULE` The rule of the archive's bus whose pattern is to change.")
	cmd.Flags().StringVar(&f.was, "was", "", "`JSON` The pattern that the rule has, in place of --rule; @FILE reads it from a file.")
	describe(cmd.Flags(), "was", "every event")
	cmd.Flags().StringVar(&f.is, "is", "", "`JSON` The pattern that it is to have, likewise.")
	describe(cmd.Flags(), "is", "every event")
	cmd.Flags().IntVar(&f.examples, "examples", 3, "`N` So many of each difference.")
	f.output.declare(cmd.Flags(), asPretty, asJSON)
	f.skip.declare(cmd.Flags(), skipUsage)
	f.declare(cmd)
	_ = cmd.Flags().MarkHidden("pattern") // was and is take its place
	return cmd
}

// asked is what the server is asked.
func (f *compareFlags) asked(cmd *cobra.Command) (map[string]any, error) {
	const try = `rialto archive compare orders --rule billing --is '{"source": ["store"]}'`
	switch {
	case f.window.pattern != "":
		return nil, usagef(try, "To compare needs no --pattern, but --is and either --rule or --was.")
	case f.rule != "" && f.was != "":
		return nil, usagef(try, "Either --rule or --was says which pattern there was.")
	case f.rule == "" && f.was == "" && f.is == "":
		return nil, usagef(try, "There is nothing to compare without a pattern.")
	}
	asked := map[string]any{"rule": f.rule, "examples": f.examples}
	for _, p := range []struct{ name, value string }{{"was", f.was}, {"is", f.is}} {
		text, err := patternOf(cmd, p.value)
		if err != nil {
			return nil, err
		}
		asked[p.name] = text
	}
	f.client.endless = true
	return asked, f.window.set(cmd, func(name, value string) { asked[name] = value })
}

func (f *archiveFlags) compare(cmd *cobra.Command, archive string, asked map[string]any) error {
	type different struct {
		Events   int64             `json:"events"`
		Examples []json.RawMessage `json:"examples"`
	}
	var answer struct {
		Both  int64     `json:"both"`
		More  different `json:"more"`
		Fewer different `json:"fewer"`

		Damaged []string `json:"damaged,omitempty"`
	}
	q := url.Values{}
	f.skip.set(q)
	if err := f.client.ask(cmd.Context(), http.MethodPost, "archives/"+url.PathEscape(archive)+"/compare", q, asked, &answer); err != nil {
		return err
	}
	tellDamaged(cmd.ErrOrStderr(), answer.Damaged)
	if f.output == asJSON {
		return indented(cmd.OutOrStdout(), answer)
	}
	w := cmd.OutOrStdout()
	fmt.Fprintf(w, "%d events match as before.\n", answer.Both)
	for _, d := range []struct {
		text string
		different
	}{{"match in addition", answer.More}, {"match no longer", answer.Fewer}} {
		fmt.Fprintf(w, "%d events %s%s\n", d.Events, d.text, strings.Repeat(":", min(1, len(d.Examples))))
		for _, e := range d.Examples {
			fmt.Fprintf(w, "  %s\n", printable(string(e)))
		}
	}
	return nil
}
