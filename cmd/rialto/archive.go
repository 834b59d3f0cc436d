package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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

// query is the window as the server takes it.
func (f *archiveFlags) query() (url.Values, error) {
	q := url.Values{}
	f.skip.set(q)
	return q, f.window.set(q.Set)
}

func newArchiveEvents(name, path, short string) *cobra.Command {
	var f archiveFlags
	var limit int
	var id string
	cmd := &cobra.Command{
		Use: name + " ARCHIVE", Short: short + ", one JSON a line",
		Args: exactly("the archive", "orders"),
		RunE: func(cmd *cobra.Command, args []string) error {
			q, err := f.query()
			if err != nil {
				return err
			}
			if id != "" {
				var e archivedEvent
				if err := f.client.ask(cmd.Context(), http.MethodGet, "archives/"+url.PathEscape(args[0])+"/events/"+url.PathEscape(id), nil, nil, &e); err != nil {
					return err
				}
				_, err := fmt.Fprintln(cmd.OutOrStdout(), printable(string(e.Event)))
				return err
			}
			return f.events(cmd, "archives/"+url.PathEscape(args[0])+"/"+path, q, limit)
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 10, "`N` So many events.")
	if name == "query" {
		cmd.Flags().StringVar(&id, "id", "", "`ID` The one event that has this id, whatever its time.")
		describe(cmd.Flags(), "id", "any event")
	} else {
		f.skip.declare(cmd.Flags(), skipUsage) // query always does so
	}
	f.declare(cmd)
	return cmd
}

// events prints up to so many events, in as many answers as it takes.
func (f *archiveFlags) events(cmd *cobra.Command, path string, q url.Values, limit int) error {
	const most = 1000 // in one answer
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
			fmt.Fprintln(cmd.OutOrStdout(), printable(string(e.Event)))
		}
		if limit -= len(answer.Events); answer.Next == "" {
			break
		}
		q.Set("after", answer.Next)
	}
	return nil
}

func newArchiveCount() *cobra.Command {
	var f archiveFlags
	cmd := &cobra.Command{
		Use: "count ARCHIVE", Short: "Count events",
		Args: exactly("the archive", "orders"),
		RunE: func(cmd *cobra.Command, args []string) error {
			q, err := f.query()
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
		}
		return r, shut, err
	case ".zst":
		r, err := zstd.NewReader(file)
		if err != nil {
			shut()
			return nil, nil, err
		}
		return r, func() { r.Close(); shut() }, nil
	}
	return file, shut, nil
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
			n, err := importLines(cmd.Context(), &c, args[0], lines, newProgress(cmd.ErrOrStderr(), 0))
			if err != nil && n > 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "%d events were imported before that.\n", n)
			}
			if err == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "%d events imported\n", n)
			}
			return err
		},
	}
	c.declare(cmd.Flags())
	return cmd
}

// importLines sends lines to the server, a few thousand at once, and returns how many are stored.
func importLines(ctx context.Context, c *client, archive string, lines io.Reader, p *progress) (stored int, err error) {
	u, err := c.url()
	if err != nil {
		return 0, err
	}
	u = u.JoinPath("/_rialto/v1/archives", url.PathEscape(archive), "import")
	defer p.done()
	var body bytes.Buffer
	n := 0
	send := func() error {
		resp, err := c.native(ctx, http.MethodPost, u, body.Bytes())
		if err != nil {
			p.clear()
			return err
		}
		stored, n = stored+n, 0
		body.Reset()
		return resp.Body.Close()
	}
	scan := bufio.NewScanner(lines)
	scan.Buffer(make([]byte, 64<<10), maxLine)
	for scan.Scan() {
		line := bytes.TrimSpace(scan.Bytes())
		if len(line) == 0 {
			continue
		}
		if n > 0 && (n == importEvents || body.Len()+len(line) > importBytes) {
			if err := send(); err != nil {
				return stored, err
			}
		}
		body.Write(line)
		body.WriteByte('\n')
		n++
		p.add(len(line))
	}
	if err := scan.Err(); err != nil {
		return stored, err
	}
	return stored, send() // also of nothing, so that an archive that is not there is told of
}

func newArchiveCompare() *cobra.Command {
	var f archiveFlags
	var was, is string
	var examples int
	cmd := &cobra.Command{
		Use: "compare ARCHIVE", Short: "Say what another pattern of a rule would match, and no longer match",
		Long: "Holds two event patterns against the events of an archive: how many both match, how many only one of them does, and some of these.",
		Args: exactly("the archive", `orders --was '{"source": ["shop"]}' --is '{"source": ["store"]}'`),
		RunE: func(cmd *cobra.Command, args []string) error {
			asked := map[string]any{"was": was, "is": is, "examples": examples}
			if err := f.window.set(func(name, value string) {
				if name != "pattern" {
					asked[name] = value
				}
			}); err != nil {
				return err
			}
			return f.compare(cmd, args[0], asked)
		},
	}
	cmd.Flags().StringVar(&was, "was", "", "`JSON` The pattern that the rule has.")
	describe(cmd.Flags(), "was", "every event")
	cmd.Flags().StringVar(&is, "is", "", "`JSON` The pattern that it is to have.")
	describe(cmd.Flags(), "is", "every event")
	cmd.Flags().IntVar(&examples, "examples", 3, "`N` So many of each difference.")
	f.output.declare(cmd.Flags(), asPretty, asJSON)
	f.skip.declare(cmd.Flags(), skipUsage)
	f.declare(cmd)
	_ = cmd.Flags().MarkHidden("pattern") // was and is take its place
	return cmd
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
