package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rialto-events/rialto/pattern"
)

// A replayState is what the server says of a replay.
type replayState struct {
	Name      string      `json:"name"`
	Archive   string      `json:"archive"`
	From      time.Time   `json:"from,omitzero"`
	To        time.Time   `json:"to,omitzero"`
	Pattern   string      `json:"pattern,omitempty"`
	Bus       string      `json:"bus"`
	Rules     []string    `json:"rules,omitempty"`
	Target    string      `json:"target,omitempty"`
	Order     string      `json:"order,omitempty"`
	Speed     replaySpeed `json:"speed,omitzero"`
	State     string      `json:"state"`
	Reason    string      `json:"reason,omitempty"`
	Paused    bool        `json:"paused"`
	Expected  int64       `json:"expected"`
	Read      int64       `json:"read"`
	Put       int64       `json:"put"`
	Delivered int64       `json:"delivered"`
	Waits     string      `json:"waits,omitempty"` // what for
	Started   time.Time   `json:"started"`
	Last      time.Time   `json:"last,omitzero"`
	Ended     time.Time   `json:"ended,omitzero"`
}

func (r *replayState) ended() bool { return !r.Ended.IsZero() }

// now is the state, and what the replay waits for.
func (r *replayState) now() string {
	if r.Waits == "" {
		return r.status()
	}
	return r.status() + "; " + printable(r.Waits)
}

// status is the state in a word.
func (r *replayState) status() string {
	if r.Paused {
		return "paused"
	}
	return strings.ToLower(r.State)
}

// A replaySpeed is a flag: 500 for events a second, 10x for times the original pace.
type replaySpeed struct {
	PerSecond float64 `json:"perSecond,omitempty"`
	Times     float64 `json:"times,omitempty"`
}

func (s *replaySpeed) Type() string { return "speed" }

func (s *replaySpeed) String() string {
	switch {
	case s.PerSecond > 0:
		return strconv.FormatFloat(s.PerSecond, 'g', -1, 64)
	case s.Times > 0:
		return strconv.FormatFloat(s.Times, 'g', -1, 64) + "x"
	}
	return ""
}

func (s *replaySpeed) Set(text string) error {
	number, times := strings.CutSuffix(text, "x")
	n, err := strconv.ParseFloat(number, 64)
	switch {
	case text == "max":
		*s = replaySpeed{}
	case err != nil || !(n > 0) || math.IsInf(n, 0):
		return fmt.Errorf("it is a number of events a second such as 500, a multiple of the original pace such as 10x or 0.5x, or max")
	case times:
		*s = replaySpeed{Times: n}
	default:
		*s = replaySpeed{PerSecond: n}
	}
	return nil
}

func newReplay() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replay COMMAND",
		Short: "Put what an archive has kept onto a bus again",
		Example: `  rialto replay start orders --from 2h --dry-run
  rialto replay start orders --from 2026-03-01T10:00:00Z --rule billing --speed 500 --watch
  rialto replay pause replay-orders-1`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newReplayStart(), newReplayList(), newReplayWatch(),
		newReplayChange("pause", "Have a replay rest until it is resumed"), newReplayChange("resume", "End the pause of a replay"),
		newReplayChange("cancel", "End a replay; what it has put is still delivered"), newReplaySpeed())
	return cmd
}

// windowFlags are a part of an archive.
type windowFlags struct{ from, to, pattern string }

func (f *windowFlags) declare(fs *pflag.FlagSet) {
	fs.StringVar(&f.from, "from", "", "`TIME` Only events of this time or later: 2026-03-01T10:00:00Z, or 2h or 7d for so long ago.")
	describe(fs, "from", "the first event")
	fs.StringVar(&f.to, "to", "", "`TIME` Only events of an earlier time.")
	describe(fs, "to", "the last event")
	fs.StringVar(&f.pattern, "pattern", "", "`JSON` Only events that match this event pattern; @FILE reads it from a file.")
	describe(fs, "pattern", "all events")
}

// set hands out what was given, times in the server's form.
func (f *windowFlags) set(cmd *cobra.Command, put func(name, value string)) error {
	for name, text := range map[string]string{"from": f.from, "to": f.to} {
		if text == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			ago, wrong := parseAgo(text)
			if wrong != nil {
				return usagef("--"+name+" 2026-03-01T10:00:00Z, or --"+name+" 2h or 7d for so long ago", "The time %q cannot be read.", text)
			}
			at = time.Now().Add(-ago)
		}
		put(name, at.UTC().Format(time.RFC3339Nano))
	}
	text, err := patternOf(cmd, f.pattern)
	if text != "" {
		put("pattern", text)
	}
	return err
}

// patternOf reads an event pattern from the command line, or a file that is named there, and says where it is wrong before any server is asked.
func patternOf(cmd *cobra.Command, value string) (string, error) {
	text, err := argument(value, cmd.InOrStdin())
	if err != nil || len(bytes.TrimSpace(text)) == 0 {
		return "", err
	}
	_, err = pattern.Parse(text)
	return string(text), err
}

// parseAgo reads a span of time, which may be in days.
func parseAgo(text string) (time.Duration, error) {
	const most = 100 * 365
	if strings.HasPrefix(text, "-") {
		return 0, fmt.Errorf("%q is in the future", text)
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseFloat(days, 64)
		if err != nil || !(n >= 0 && n <= most) {
			return 0, fmt.Errorf("%q is no number of days", days)
		}
		return time.Duration(n * 24 * float64(time.Hour)), nil
	}
	return time.ParseDuration(text)
}

// replayFlags is the command line of `rialto replay start`.
type replayFlags struct {
	client client
	window windowFlags
	name   string
	bus    string
	rules  []string
	target string
	order  string
	speed  replaySpeed
	dry    bool
	skip   skipDamaged
	watch  bool
	output outputFormat
}

func newReplayStart() *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use:   "start ARCHIVE",
		Short: "Begin a replay of an archive",
		Long: `Puts the events of an archive onto its bus again, by their time, with new ids and the member replay-name. What was put before this
command is in the archive, and in the replay. The server carries the replay out, also if this command ends and if the server is started anew;
it puts each event once. Into a file, or another program, events go by: rialto archive export.`,
		Example: `  rialto replay start orders --dry-run
  rialto replay start orders --from 2h --to 1h --watch
  rialto replay start orders --bus staging --rule audit --order '$.detail.orderId' --speed 10x`,
		Args: exactly("the archive", "orders"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.start(cmd, args[0]) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.name, "name", "", "`NAME` Of the replay; events have it as replay-name. It can be used once in 90 days.")
	describe(fs, "name", "one that is made up")
	f.window.declare(fs)
	fs.StringVar(&f.bus, "bus", "", "`BUS` Put the events onto this bus.")
	describe(fs, "bus", "the archive's own")
	fs.StringSliceVar(&f.rules, "rule", nil, "`RULE` Only this rule of the bus gets events. Can be given several times.")
	describe(fs, "rule", "every rule")
	fs.StringVar(&f.target, "target", "", "`ID` Only this target of the rules gets events.")
	describe(fs, "target", "every target")
	fs.StringVar(&f.order, "order", "", "`ORDER` time: each target gets one event after the other; a path such as $.detail.orderId: those with the same value.")
	describe(fs, "order", "what the rules ask for")
	fs.Var(&f.speed, "speed", "`SPEED` 500 for events a second, 10x or 0.5x for times the original pace.")
	describe(fs, "speed", "as fast as the targets take them")
	fs.BoolVar(&f.dry, "dry-run", false, "Only say how many events would go to which rule and target.")
	f.skip.declare(fs, "With --dry-run: leave out what is damaged, and say what that is. A replay does so anyway.")
	fs.BoolVar(&f.watch, "watch", false, "Show how it goes on until it has ended.")
	f.output.declare(fs, asPretty, asJSON)
	f.client.declare(fs)
	return cmd
}

func (f *replayFlags) start(cmd *cobra.Command, archive string) error {
	asked := map[string]any{"archive": archive, "bus": f.bus, "rules": f.rules, "target": f.target, "order": f.order, "speed": f.speed}
	if err := f.window.set(cmd, func(name, value string) { asked[name] = value }); err != nil {
		return err
	}
	if asked["name"] = f.name; f.name == "" {
		asked["name"] = newReplayName(archive, time.Now())
	}
	f.client.endless = true // the events of the window are counted first
	if f.dry {
		return f.dryRun(cmd, asked)
	}
	var r replayState
	if err := f.client.ask(cmd.Context(), http.MethodPost, "replays", nil, asked, &r); err != nil {
		return err
	}
	if f.watch {
		return watchReplay(cmd, &f.client, &r, f.output)
	}
	if f.output == asJSON {
		return indented(cmd.OutOrStdout(), &r)
	}
	fmt.Fprintln(cmd.OutOrStdout(), r.Name)
	fmt.Fprintf(cmd.ErrOrStderr(), "The replay of %d events has begun. See how it goes on: rialto replay watch %s\n", r.Expected, r.Name)
	return nil
}

// newReplayName makes up a name. A second replay of the archive, a moment later, gets another one.
func newReplayName(archive string, now time.Time) string {
	const most = 64 // characters (service model, ReplayName); those of an archive's name are ASCII, at most 48
	at := strconv.FormatInt(now.UnixMilli(), 10)
	return "replay-" + archive[:min(len(archive), most-len("replay--")-len(at))] + "-" + at
}

func (f *replayFlags) dryRun(cmd *cobra.Command, asked map[string]any) error {
	var out struct {
		Events     int64 `json:"events"`
		Put        int64 `json:"put"`
		Deliveries int64 `json:"deliveries"`
		Goals      []struct {
			Rule     string `json:"rule"`
			TargetID string `json:"targetId"`
			Target   string `json:"target"`
			Events   int64  `json:"events"`
		} `json:"goals"`
		Damaged []string `json:"damaged,omitempty"`
	}
	q := url.Values{}
	f.skip.set(q)
	if err := f.client.ask(cmd.Context(), http.MethodPost, "replays/dry-run", q, asked, &out); err != nil {
		return err
	}
	tellDamaged(cmd.ErrOrStderr(), out.Damaged)
	if f.output == asJSON {
		return indented(cmd.OutOrStdout(), out)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%d of %d events would be put, and make %d deliveries.\n", out.Put, out.Events, out.Deliveries)
	t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	for i, g := range out.Goals {
		if i == 0 {
			fmt.Fprintln(t, "EVENTS\tRULE\tTARGET\tARN")
		}
		_, rule, _ := strings.Cut(g.Rule, ":rule/")
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\n", g.Events, rule, g.TargetID, printable(g.Target))
	}
	return t.Flush()
}

// watchTries is how often in a row a server does not answer, until nobody waits for it any more: for half a minute, in which it can be started anew.
const watchTries = 120

// watchReplay shows a replay until it has ended. An interrupt ends the watching, and nothing else; so does a server that is away for too long.
func watchReplay(cmd *cobra.Command, c *client, r *replayState, output outputFormat) error {
	ctx, g := cmd.Context(), newGauge(cmd.ErrOrStderr())
	defer g.clear()
	for tries := 0; !r.ended(); {
		state := r.now()
		if tries > 0 {
			state = "the server does not answer at present"
		}
		g.show(r.Read, r.Expected, state, r.State == "RUNNING" && !r.Paused && r.Waits == "" && tries == 0)
		select {
		case <-time.After(watchEvery):
		case <-ctx.Done():
			g.clear()
			fmt.Fprintf(cmd.ErrOrStderr(), "The replay goes on without you: rialto replay cancel %s would end it.\n", r.Name)
			return nil
		}
		next := new(replayState)
		err := c.ask(ctx, http.MethodGet, "replays/"+url.PathEscape(r.Name), nil, nil, next)
		if ctx.Err() != nil {
			continue
		}
		if _, refused := errors.AsType[*failure](err); err != nil && (refused || tries == watchTries) {
			return err
		}
		if err != nil {
			tries++
			continue
		}
		r, tries = next, 0
	}
	g.clear()
	told := tellReplay
	if output == asJSON {
		told = func(w io.Writer, r *replayState) error { return indented(w, r) }
	}
	if err := told(cmd.OutOrStdout(), r); err != nil || r.State != "FAILED" {
		return err
	}
	return &failure{message: sentence("The replay " + r.Name + " has failed: " + printable(r.Reason)), try: "rialto replay start once more, when that is mended; what it has put was put"}
}

func tellReplay(w io.Writer, r *replayState) error {
	fmt.Fprintf(w, "%s: %d of %d events read, %d put, %d deliveries", r.status(), r.Read, r.Expected, r.Put, r.Delivered)
	if s := r.Speed.String(); s != "" && !r.ended() {
		fmt.Fprintf(w, ", at a speed of %s", s)
	}
	if r.Waits != "" {
		fmt.Fprintf(w, "; %s", printable(r.Waits))
	}
	if r.ended() {
		fmt.Fprintf(w, ", in %v", r.Ended.Sub(r.Started).Round(10*time.Millisecond))
	}
	if r.Reason != "" {
		fmt.Fprintf(w, ": %s", printable(r.Reason))
	}
	_, err := fmt.Fprintln(w)
	return err
}

func newReplayList() *cobra.Command {
	var f redriveIDFlags
	cmd := &cobra.Command{
		Use: "list", Short: "List the replays of the last 90 days", Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var answer struct {
				Replays []replayState `json:"replays"`
			}
			if err := f.client.ask(cmd.Context(), http.MethodGet, "replays", nil, nil, &answer); err != nil {
				return err
			}
			if f.output == asJSON {
				return indented(cmd.OutOrStdout(), answer)
			}
			if len(answer.Replays) == 0 {
				fmt.Fprintln(cmd.ErrOrStderr(), "There is none. Begin one with: rialto replay start ARCHIVE")
				return nil
			}
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "STARTED\tREPLAY\tARCHIVE\tBUS\tSTATE\tEVENTS\tREAD\tPUT\tDELIVERIES")
			for _, r := range answer.Replays {
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\n", r.Started.Local().Format(time.DateTime), r.Name, r.Archive, r.Bus, r.status(),
					r.Expected, r.Read, r.Put, r.Delivered)
			}
			return t.Flush()
		},
	}
	f.declare(cmd)
	return cmd
}

const someReplay = "replay-orders-1772359200000" // for hints

func newReplayWatch() *cobra.Command {
	var f redriveIDFlags
	cmd := &cobra.Command{
		Use: "watch REPLAY", Short: "Show how a replay goes on until it has ended",
		Args: exactly("the name of a replay", someReplay),
		RunE: func(cmd *cobra.Command, args []string) error {
			var r replayState
			if err := f.client.ask(cmd.Context(), http.MethodGet, "replays/"+url.PathEscape(args[0]), nil, nil, &r); err != nil {
				return err
			}
			return watchReplay(cmd, &f.client, &r, f.output)
		},
	}
	f.declare(cmd)
	return cmd
}

func newReplayChange(what, short string) *cobra.Command {
	var f redriveIDFlags
	cmd := &cobra.Command{
		Use: what + " REPLAY", Short: short,
		Args: exactly("the name of a replay", someReplay),
		RunE: func(cmd *cobra.Command, args []string) error { return changeReplay(cmd, &f, args[0], what, nil) },
	}
	f.declare(cmd)
	return cmd
}

func newReplaySpeed() *cobra.Command {
	var f redriveIDFlags
	cmd := &cobra.Command{
		Use: "speed REPLAY SPEED", Short: "Change how fast a replay is: 500, 10x or max",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usagef("rialto replay speed "+someReplay+" 10x", "%s needs the name of a replay and a speed.", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var speed replaySpeed
			if err := speed.Set(args[1]); err != nil {
				return usagef("rialto replay speed "+someReplay+" 10x", "The speed %q means nothing: %v.", args[1], err)
			}
			return changeReplay(cmd, &f, args[0], "speed", &speed)
		},
	}
	f.declare(cmd)
	return cmd
}

func changeReplay(cmd *cobra.Command, f *redriveIDFlags, name, what string, body any) error {
	var r replayState
	if err := f.client.ask(cmd.Context(), http.MethodPost, "replays/"+url.PathEscape(name)+"/"+what, nil, body, &r); err != nil {
		return err
	}
	if f.output == asJSON {
		return indented(cmd.OutOrStdout(), &r)
	}
	return tellReplay(cmd.OutOrStdout(), &r)
}
