package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// watchEvery is how often a redrive is asked about that somebody watches.
const watchEvery = 250 * time.Millisecond

// A redriveState is what the server says of a redrive.
type redriveState struct {
	ID       string          `json:"id"`
	Queue    string          `json:"queue"`
	To       string          `json:"to,omitempty"`
	Filter   json.RawMessage `json:"filter,omitempty"`
	Status   string          `json:"status"`
	Rate     int             `json:"rate,omitempty"`
	Started  time.Time       `json:"started"`
	Ended    time.Time       `json:"ended,omitzero"`
	Selected int             `json:"selected"`
	Moved    int             `json:"moved"`
	Failed   int             `json:"failed"`
	Skipped  int             `json:"skipped"`
	Left     int             `json:"left"`
	Reasons  []redriveReason `json:"reasons"`
}

type redriveReason struct {
	Outcome string `json:"outcome"`
	Reason  string `json:"reason"`
	Count   int    `json:"count"`
}

func (r *redriveState) ended() bool { return r.Status == "completed" || r.Status == "cancelled" }

// redriveFlags is the command line of `rialto redrive`.
type redriveFlags struct {
	client client
	filter letterFilter
	ids    []string
	to     string
	rate   count
	watch  bool
	output outputFormat
}

func newRedrive() *cobra.Command {
	var f redriveFlags
	cmd := &cobra.Command{
		Use:   "redrive QUEUE",
		Short: "Bring dead letters back to their targets",
		Long: `Brings the events of dead letters back to the targets that did not take them, as these are defined now: mend the target or the
rule first. Every event keeps its id and is a new delivery with all of its retries; its message leaves the queue. Messages that are with
a consumer, and those that arrive later, are left alone, and so are those whose rule or target is gone. The letters of a schedule go to its target;
those of one that was deleted, to the one that it had.

The server carries the redrive out, also if this command ends and if the server is started anew. See: rialto redrives.`,
		Example: `  rialto redrive orders-dead --watch
  rialto redrive orders-dead --rule paid --code CONNECTION_FAILURE --rate 50
  rialto redrive orders-dead --to arn:aws:sqs:us-east-1:000000000000:inspect`,
		Args: exactly("the queue that the dead letters are in", "orders-dead"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.start(cmd, args[0]) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	f.filter.declare(fs)
	fs.StringSliceVar(&f.ids, "id", nil, "`ID` Only this message. Can be given several times.")
	describe(fs, "id", "all")
	fs.StringVar(&f.to, "to", "", "`ARN` Deliver the events to this target, queue or bus instead.")
	describe(fs, "to", "the targets that they came from")
	fs.Var(&f.rate, "rate", "`N` Move so many a second.")
	describe(fs, "rate", "as many as there are")
	fs.BoolVar(&f.watch, "watch", false, "Show how it goes on until it has ended.")
	f.output.declare(fs, asPretty, asJSON)
	f.client.declare(fs)
	return cmd
}

func (f *redriveFlags) start(cmd *cobra.Command, queue string) error {
	filter := map[string]any{}
	f.filter.set(func(name, value string) { filter[name] = value })
	if len(f.ids) > 0 {
		filter["ids"] = f.ids
	}
	asked := map[string]any{"queue": queue, "filter": filter, "rate": f.rate}
	if f.to != "" {
		asked["to"] = f.to
	}
	var r redriveState
	if err := f.client.ask(cmd.Context(), http.MethodPost, "redrives", nil, asked, &r); err != nil {
		return err
	}
	if f.watch {
		return watch(cmd, &f.client, &r, f.output)
	}
	if f.output == asJSON {
		return indented(cmd.OutOrStdout(), &r)
	}
	fmt.Fprintln(cmd.OutOrStdout(), r.ID)
	fmt.Fprintf(cmd.ErrOrStderr(), "The redrive of %s has begun. See how it goes on: rialto redrives watch %s\n", r.Queue, r.ID)
	return nil
}

// watch shows a redrive until it has ended. An interrupt ends the watching, and nothing else.
func watch(cmd *cobra.Command, c *client, r *redriveState, output outputFormat) error {
	ctx, bar := cmd.Context(), newBar(cmd.ErrOrStderr())
	defer bar.clear()
	for !r.ended() {
		bar.show(r)
		select {
		case <-time.After(watchEvery):
		case <-ctx.Done():
			bar.clear()
			fmt.Fprintf(cmd.ErrOrStderr(), "The redrive goes on without you: rialto redrives cancel %s would end it.\n", r.ID)
			return nil
		}
		next := new(redriveState)
		err := c.ask(ctx, http.MethodGet, "redrives/"+url.PathEscape(r.ID), nil, nil, next)
		if ctx.Err() != nil {
			continue
		}
		if err != nil {
			return err
		}
		r = next
	}
	bar.clear()
	if output == asJSON {
		return indented(cmd.OutOrStdout(), r)
	}
	return tellRedrive(colored(cmd.OutOrStdout()), r)
}

// tellRedrive writes how far a redrive is and why what is left is left.
func tellRedrive(w io.Writer, r *redriveState) error {
	fmt.Fprintf(w, "%s: %d of %d moved, %d failed, %d skipped", r.Status, r.Moved, r.Selected, r.Failed, r.Skipped)
	if r.Left > 0 {
		fmt.Fprintf(w, ", %d left", r.Left)
	}
	if !r.Ended.IsZero() {
		fmt.Fprintf(w, ", in %v", r.Ended.Sub(r.Started).Round(10*time.Millisecond))
	}
	_, err := fmt.Fprintln(w)
	for _, reason := range r.Reasons {
		fmt.Fprintf(w, "  %s %d: %s\n", reason.Outcome, reason.Count, printable(reason.Reason))
	}
	return err
}

func newRedrives() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "redrives COMMAND",
		Short: "See and change redrives that were begun",
		Example: `  rialto redrives list
  rialto redrives watch 7c0de5a2-3f2b-4a9b-9d5f-0c3b8f0c7f11
  rialto redrives cancel 7c0de5a2-3f2b-4a9b-9d5f-0c3b8f0c7f11`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newRedrivesList(), newRedrivesWatch(),
		newRedrivesChange("pause", "Have a redrive rest until it is resumed"), newRedrivesChange("resume", "End the pause of a redrive"),
		newRedrivesChange("cancel", "End a redrive; what was not moved stays in the queue"), newRedrivesRate())
	return cmd
}

// redriveIDFlags is the command line of what asks about redrives.
type redriveIDFlags struct {
	client client
	output outputFormat
}

func (f *redriveIDFlags) declare(cmd *cobra.Command) {
	cmd.Flags().SortFlags = false
	f.output.declare(cmd.Flags(), asPretty, asJSON)
	f.client.declare(cmd.Flags())
}

func newRedrivesList() *cobra.Command {
	var f redriveIDFlags
	cmd := &cobra.Command{
		Use: "list", Short: "List redrives: those that run, and the last few of each queue",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.list(cmd) },
	}
	f.declare(cmd)
	return cmd
}

func (f *redriveIDFlags) list(cmd *cobra.Command) error {
	var answer struct {
		Redrives []redriveState `json:"redrives"`
	}
	if err := f.client.ask(cmd.Context(), http.MethodGet, "redrives", nil, nil, &answer); err != nil {
		return err
	}
	if f.output == asJSON {
		return indented(cmd.OutOrStdout(), answer)
	}
	if len(answer.Redrives) == 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "No redrive is remembered.")
		return nil
	}
	t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "STARTED\tREDRIVE\tQUEUE\tSTATUS\tSELECTED\tMOVED\tFAILED\tSKIPPED\tLEFT")
	for _, r := range answer.Redrives {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\n", r.Started.Local().Format(time.DateTime), r.ID, r.Queue, r.Status, r.Selected, r.Moved,
			r.Failed, r.Skipped, r.Left)
	}
	return t.Flush()
}

const someRedrive = "7c0de5a2-3f2b-4a9b-9d5f-0c3b8f0c7f11" // for hints

func newRedrivesWatch() *cobra.Command {
	var f redriveIDFlags
	cmd := &cobra.Command{
		Use: "watch REDRIVE", Short: "Show how a redrive goes on until it has ended",
		Args: exactly("the id of a redrive", someRedrive),
		RunE: func(cmd *cobra.Command, args []string) error {
			var r redriveState
			if err := f.client.ask(cmd.Context(), http.MethodGet, "redrives/"+url.PathEscape(args[0]), nil, nil, &r); err != nil {
				return err
			}
			return watch(cmd, &f.client, &r, f.output)
		},
	}
	f.declare(cmd)
	return cmd
}

// newRedrivesChange makes a command that changes a redrive and says how it stands then.
func newRedrivesChange(what, short string) *cobra.Command {
	var f redriveIDFlags
	cmd := &cobra.Command{
		Use: what + " REDRIVE", Short: short,
		Args: exactly("the id of a redrive", someRedrive),
		RunE: func(cmd *cobra.Command, args []string) error { return f.change(cmd, args[0], what, nil) },
	}
	f.declare(cmd)
	return cmd
}

func newRedrivesRate() *cobra.Command {
	var f redriveIDFlags
	var rate count
	cmd := &cobra.Command{
		Use: "rate REDRIVE", Short: "Change how many messages a second a redrive moves",
		Example: "  rialto redrives rate " + someRedrive + " --rate 200",
		Args:    exactly("the id of a redrive", someRedrive+" --rate 200"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.change(cmd, args[0], "rate", map[string]count{"rate": rate})
		},
	}
	cmd.Flags().Var(&rate, "rate", "`N` So many a second.")
	describe(cmd.Flags(), "rate", "as many as there are")
	f.declare(cmd)
	return cmd
}

func (f *redriveIDFlags) change(cmd *cobra.Command, id, what string, body any) error {
	var r redriveState
	if err := f.client.ask(cmd.Context(), http.MethodPost, "redrives/"+url.PathEscape(id)+"/"+what, nil, body, &r); err != nil {
		return err
	}
	if f.output == asJSON {
		return indented(cmd.OutOrStdout(), &r)
	}
	return tellRedrive(colored(cmd.OutOrStdout()), &r)
}

// A bar shows on a terminal how far a redrive is. A nil one shows nothing.
type bar struct {
	w     io.Writer
	began time.Time
	from  int // moved, failed and skipped when the watching began
	shown bool
}

// newBar returns nil if w is no terminal.
func newBar(w io.Writer) *bar {
	if !isTerminal(w) {
		return nil
	}
	return &bar{w: w}
}

const barWidth = 30 // columns

func (b *bar) show(r *redriveState) {
	if b == nil {
		return
	}
	done := r.Selected - r.Left
	if b.began.IsZero() || r.Status != "running" {
		b.began, b.from = time.Now(), done
	}
	b.clear()
	fmt.Fprint(b.w, barOf(r, done-b.from, time.Since(b.began)))
	b.shown = true
}

// barOf is a bar in words and blocks. So many messages were decided in the time that is looked at.
func barOf(r *redriveState, decided int, in time.Duration) string {
	if r.Status == "selecting" {
		return fmt.Sprintf("selecting, %d so far", r.Selected)
	}
	done, full := r.Selected-r.Left, barWidth
	if r.Selected > 0 {
		full = barWidth * done / r.Selected
	}
	text := fmt.Sprintf("%s%s %d of %d", strings.Repeat("█", full), strings.Repeat("░", barWidth-full), done, r.Selected)
	if not := r.Failed + r.Skipped; not > 0 {
		text += fmt.Sprintf(" (%d not moved)", not)
	}
	if r.Status != "running" {
		return text + ", " + r.Status
	}
	if decided > 0 && in > 0 {
		rate := float64(decided) / in.Seconds()
		left := time.Duration(float64(r.Left) / rate * float64(time.Second)).Round(time.Second)
		text += fmt.Sprintf(", %.0f a second, %v to go", rate, left)
	}
	return text
}

// clear takes the bar off the screen.
func (b *bar) clear() {
	if b != nil && b.shown {
		fmt.Fprint(b.w, "\r\x1b[K")
		b.shown = false
	}
}
