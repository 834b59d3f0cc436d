package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/spf13/cobra"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/pattern"
)

const (
	// silence is how long a connection may say nothing: an idle server sends an empty line every ten seconds.
	silence = 35 * time.Second
)

// tailFlags is the command line of `rialto tail`.
type tailFlags struct {
	client  client
	bus     string
	pattern string
	count   count
	output  outputFormat
}

func newTail() *cobra.Command {
	var f tailFlags
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Follow the events of a bus",
		Long: `Prints the events that a bus accepts from now on, as they come, whether a rule wants them or not. An interrupt ends it.

When the connection breaks it comes back by itself and says so; what the bus accepted in between is not shown. Neither is what
comes faster than the terminal can show it: this is a window, not a subscription. For every event, make a rule with a queue.`,
		Example: `  rialto tail
  rialto tail --bus orders --pattern '{"detail": {"total": [{"numeric": [">", 100]}]}}'
  rialto tail --pattern @pattern.json --output json | jq .detail
  rialto tail --bus orders --count 1      # wait for one event`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return tail(cmd, &f) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.bus, "bus", string(rialto.DefaultBus), "`NAME` The bus, or its ARN.")
	fs.StringVar(&f.pattern, "pattern", "", "`PATTERN` Show only what this event pattern matches; @FILE reads it from a file.")
	describe(fs, "pattern", "every event")
	fs.Var(&f.count, "count", "`N` End after so many events.")
	describe(fs, "count", "no end")
	f.output.declare(fs, asPretty, asJSON)
	f.client.declare(fs)
	return cmd
}

func tail(cmd *cobra.Command, f *tailFlags) error {
	filter, err := argument(f.pattern, cmd.InOrStdin())
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(filter)) > 0 {
		if _, err := pattern.Parse(filter); err != nil {
			return err
		}
	}
	u, err := f.client.url()
	if err != nil {
		return err
	}
	u = u.JoinPath("/_rialto/v1/tail")
	u.RawQuery = url.Values{"bus": {f.bus}, "pattern": {string(filter)}}.Encode()
	t := &follower{client: &f.client, url: u, bus: f.bus, errOut: cmd.ErrOrStderr(), left: int(f.count)}
	t.show = jsonLines(cmd.OutOrStdout())
	if f.output == asPretty {
		t.show = newPretty(cmd.OutOrStdout()).event
	}
	ctx := cmd.Context()
	err = t.follow(ctx)
	if ctx.Err() != nil || errors.Is(err, errEnough) {
		return nil // an interrupt is how it is meant to end
	}
	return err
}

// errEnough ends a follower that has shown as many events as were asked for.
var errEnough = errors.New("as many events as were asked for")

// A follower shows the events of a bus, over as many connections as it takes.
type follower struct {
	client *client
	url    *url.URL
	bus    string
	errOut io.Writer
	show   func(event []byte) error
	left   int // events until the end; 0 has none
}

// follow returns only when it is pointless to go on: at the first attempt whatever is wrong, later when the server says no.
func (t *follower) follow(ctx context.Context) error {
	for attempt, connected := 0, false; ; {
		err := t.once(ctx, func() {
			if connected {
				t.say("Connected again. Events from in between are not shown.")
			} else {
				t.say("Following the bus %s at %s://%s.", t.bus, t.url.Scheme, t.url.Host)
			}
			attempt, connected = 0, true
		})
		var no *failure
		if !connected || ctx.Err() != nil || errors.Is(err, errEnough) || errors.As(err, &no) {
			return err
		}
		if attempt++; attempt == 1 {
			t.say("The connection broke: %v. Trying again.", err)
		}
		if err := pause(ctx, attempt); err != nil {
			return err
		}
	}
}

func (t *follower) say(format string, args ...any) { fmt.Fprintf(t.errOut, format+"\n", args...) }

// once follows over one connection until it breaks.
func (t *follower) once(ctx context.Context, connected func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	resp, err := t.request(ctx)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	connected()
	quiet := time.AfterFunc(silence, cancel)
	defer quiet.Stop()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	for lines.Scan() {
		quiet.Reset(silence)
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		if err := t.show(line); err != nil {
			return &failure{message: sentence("The output cannot be written: " + err.Error()), cause: err}
		}
		if t.left--; t.left == 0 {
			return errEnough
		}
	}
	switch {
	case lines.Err() == nil:
		return errors.New("the server ended it")
	case ctx.Err() != nil:
		return fmt.Errorf("nothing was heard for %v", silence)
	}
	return lines.Err()
}

// request asks for the events.
func (t *follower) request(ctx context.Context) (*http.Response, error) {
	return t.client.native(ctx, http.MethodGet, t.url, nil)
}

func jsonLines(w io.Writer) func([]byte) error {
	return func(event []byte) error {
		_, err := fmt.Fprintf(w, "%s\n", event)
		return err
	}
}

// Colours of what the commands print.
var (
	faint   = lipgloss.NewStyle().Faint(true)
	strong  = lipgloss.NewStyle().Bold(true)
	heading = lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Color("6"))
	good    = lipgloss.NewStyle().Foreground(lipgloss.Color("2"))
	bad     = lipgloss.NewStyle().Foreground(lipgloss.Color("1"))
	warning = lipgloss.NewStyle().Foreground(lipgloss.Color("3"))
	named   = lipgloss.NewStyle().Foreground(lipgloss.Color("4"))
)

const (
	unknownWidth = 160 // columns of a line where nobody knows how many there are
	maxColumn    = 32  // columns of a source or a detail-type
)

// A pretty prints events as lines for people: time, source, detail-type, and as much of the detail as the line has room for.
type pretty struct {
	w                   io.Writer
	raw                 io.Writer // whose width counts
	source, detailTypes int       // widths of the columns, which grow with what comes
}

func newPretty(w io.Writer) *pretty {
	return &pretty{w: colored(w), raw: w, source: 12, detailTypes: 16}
}

func (p *pretty) event(b []byte) error {
	var e struct {
		Time       time.Time
		Source     string
		DetailType string `json:"detail-type"`
		Detail     json.RawMessage
	}
	if err := json.Unmarshal(b, &e); err != nil {
		_, err := fmt.Fprintln(p.w, printable(string(b)))
		return err
	}
	source := column(e.Source, &p.source)
	detailType := column(e.DetailType, &p.detailTypes)
	at := e.Time.Local().Format(time.TimeOnly)
	room := widthOf(p.raw, unknownWidth) - len(at) - p.source - p.detailTypes - 6
	_, err := fmt.Fprintf(p.w, "%s  %s  %s  %s\n", faint.Render(at), named.Render(source), strong.Render(detailType),
		shorten(printable(cmp.Or(string(e.Detail), "{}")), max(room, 20)))
	return err
}

// column fits a text into a column, which it may widen.
func column(s string, width *int) string {
	s = shorten(printable(s), maxColumn)
	*width = max(*width, lipgloss.Width(s))
	return s + spaces(*width-lipgloss.Width(s))
}
