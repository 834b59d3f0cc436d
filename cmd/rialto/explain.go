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

	"charm.land/lipgloss/v2"
	"github.com/spf13/cobra"

	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/explain"
)

// explainFlags is the command line of `rialto explain`.
type explainFlags struct {
	client client
	rules  count
	status string
	bus    string
	rule   string
	target string
	since  past
	limit  count
	output outputFormat
}

func newExplain() *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:   "explain [EVENT-ID]",
		Short: "Say what happened to an event, and why it did not arrive",
		Long: `Tells of an event when and on which bus it was accepted, which rules matched, which did not and why, each attempt with its
answer, what is tried next, and how it ended. Without an id it lists the latest events, which the filters narrow down.

What was delivered is remembered as long as there is room in memory; what failed, for a day, also across restarts. Rules that did
not match are looked at as they are now; of one that was changed since, it is said.`,
		Example: `  rialto explain 019ab3c4-5d6e-7f80-9123-456789abcdef
  rialto explain --status failed --since 1h
  rialto explain --status unmatched --bus orders --output json | jq -r '.events[].id'`,
		Args: atMostOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return f.list(cmd)
			}
			return f.event(cmd, args[0])
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.Var(&f.rules, "rules", "`N` Tell of at most so many rules that did not match, the nearest first.")
	describe(fs, "rules", "20")
	fs.Var(&choice{&f.status, statuses()}, "status", "`STATUS` List only events that are failed, dead, waiting, expired, delivered or unmatched.")
	describe(fs, "status", "all")
	fs.StringVar(&f.bus, "bus", "", "`NAME` List only events of this bus, given by its name or its ARN.")
	describe(fs, "bus", "all")
	fs.StringVar(&f.rule, "rule", "", "`NAME` List only events that this rule matched.")
	describe(fs, "rule", "all")
	fs.StringVar(&f.target, "target", "", "`ID` List only events that went to this target, given by its id or its ARN.")
	describe(fs, "target", "all")
	fs.Var(&f.since, "since", "`SPAN` List only events of the last time, such as 15m.")
	describe(fs, "since", "as far back as is remembered")
	fs.Var(&f.limit, "limit", "`N` List at most so many events.")
	describe(fs, "limit", "50")
	f.output.declare(fs, asPretty, asJSON)
	f.client.declare(fs)
	return cmd
}

// list prints the latest events.
func (f *explainFlags) list(cmd *cobra.Command) error {
	query := url.Values{}
	for name, value := range map[string]string{"status": f.status, "bus": f.bus, "rule": f.rule, "target": f.target, "limit": given(f.limit)} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if f.since > 0 {
		query.Set("since", f.since.String())
	}
	var answer struct {
		Events []explain.Summary `json:"events"`
	}
	if err := f.client.ask(cmd.Context(), http.MethodGet, "events", query, nil, &answer); err != nil {
		return err
	}
	if f.output == asJSON {
		return indented(cmd.OutOrStdout(), answer)
	}
	if len(answer.Events) == 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "No event that is remembered is like that.")
		return nil
	}
	t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ACCEPTED\tEVENT\tSOURCE\tDETAIL-TYPE\tSTATE\tRULES\tATTEMPTS\tERROR")
	for _, e := range answer.Events {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", e.Accepted.Local().Format(time.DateTime), e.ID, printable(e.Source), printable(e.DetailType),
			e.State, strings.Join(e.Rules, ","), e.Attempts, e.Code)
	}
	return t.Flush()
}

// statuses are what can be asked for.
func statuses() (list []string) {
	for _, s := range explain.Statuses {
		list = append(list, string(s))
	}
	return list
}

// given is a count as the API takes it, or nothing.
func given(c count) string {
	if c == 0 {
		return ""
	}
	return c.String()
}

func indented(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// event prints what happened to one event.
func (f *explainFlags) event(cmd *cobra.Command, id string) error {
	query := url.Values{}
	if f.rules > 0 {
		query.Set("rules", f.rules.String())
	}
	var a explain.Answer
	if err := f.client.ask(cmd.Context(), http.MethodGet, "events/"+url.PathEscape(id), query, nil, &a); err != nil {
		return err
	}
	if f.output == asJSON {
		return indented(cmd.OutOrStdout(), &a)
	}
	s := &story{w: colored(cmd.OutOrStdout()), width: widthOf(cmd.OutOrStdout(), unknownWidth), now: time.Now()}
	s.answer(&a)
	return s.err
}

// A story tells of an event to people.
type story struct {
	w     io.Writer
	width int
	now   time.Time
	err   error // of the first write that failed
}

func (s *story) line(indent int, format string, args ...any) {
	if s.err == nil {
		text := fmt.Sprintf(format, args...)
		_, s.err = fmt.Fprintln(s.w, spaces(indent)+shorten(text, max(s.width-indent, 40)))
	}
}

// wrapped writes a text over as many lines as it takes.
func (s *story) wrapped(indent int, style lipgloss.Style, text string) {
	for line := range strings.SplitSeq(lipgloss.Wrap(printable(text), max(s.width-indent, 40), " "), "\n") {
		s.line(indent, "%s", style.Render(line))
	}
}

// moods are the colours of states.
var moods = map[explain.State]lipgloss.Style{
	explain.Delivered: good, explain.Waiting: warning, explain.Dying: warning, explain.Dead: bad, explain.Dropped: bad, explain.Unmatched: warning, explain.Expired: warning,
	explain.Duplicate: faint,
}

// words are what states mean.
var words = map[explain.State]string{
	explain.Delivered: "delivered", explain.Waiting: "waiting", explain.Dying: "failed for good, on its way to the dead-letter queue",
	explain.Dead: "failed for good, in the dead-letter queue", explain.Dropped: "failed for good, and dropped: there is no dead-letter queue that took it",
	explain.Expired: "expired before it could be delivered", explain.Unmatched: "wanted by no rule", explain.Duplicate: "a duplicate, and not accepted again",
}

func (s *story) state(state explain.State) string { return moods[state].Render(words[state]) }

func (s *story) answer(a *explain.Answer) {
	s.line(0, "%s  %s", strong.Render(printable(a.ID)), s.state(a.State))
	for i := range a.Buses {
		s.passage(&a.Buses[i])
	}
	for _, r := range a.Remarks {
		s.wrapped(0, faint, r)
	}
}

func (s *story) passage(p *explain.Passage) {
	var e struct {
		Source     string
		DetailType string `json:"detail-type"`
		Detail     json.RawMessage
	}
	_ = json.Unmarshal(p.Event, &e) // what is not kept is not shown
	how := "accepted"
	if p.Forwarded {
		how = "forwarded"
	}
	s.line(0, "")
	s.line(0, "%s  %s on %s, %d bytes%s", s.time(p.Accepted), how, heading.Render(printable(afterSlash(p.Bus))), p.Bytes, labelled(", trace ", p.Trace))
	if e.Source != "" {
		s.line(2, "%s  %s  %s", named.Render(printable(e.Source)), strong.Render(printable(e.DetailType)), printable(string(e.Detail)))
	}
	switch {
	case p.DuplicateOf != "":
		s.line(2, "It is the same as %s, which was accepted before.", printable(p.DuplicateOf))
	case p.Duplicates > 0:
		s.line(2, "It was put %d times more, which was not accepted again.", p.Duplicates)
	}
	if !p.Expires.IsZero() {
		s.line(2, "No attempt is made after %s.", s.time(p.Expires))
	}
	for i := range p.Deliveries {
		s.delivery(&p.Deliveries[i])
	}
	s.notMatched(p)
}

func (s *story) delivery(d *explain.Delivery) {
	s.line(0, "")
	s.line(2, "%s → %s %s  %s", strong.Render(printable(d.Rule)), named.Render(printable(d.Target)), faint.Render(printable(d.TargetARN)), s.state(d.State))
	if d.Payload != nil {
		cut := ""
		if d.Cut {
			cut = fmt.Sprintf("… (%d bytes)", d.Bytes)
		}
		s.line(4, "%s %s%s", faint.Render("sent"), printable(*d.Payload), cut)
	}
	for i := range d.Attempts {
		a := &d.Attempts[i]
		s.attempt(a)
		if rest := d.Omitted; rest > 0 && i+1 < len(d.Attempts) && d.Attempts[i+1].Number > a.Number+1 {
			s.line(4, "%s", faint.Render(fmt.Sprintf("… %d attempts more …", rest)))
		}
	}
	if d.Why != "" {
		s.wrapped(4, warning, d.Why)
	}
	if !d.Next.IsZero() {
		s.line(4, "%s  next attempt%s", s.time(d.Next), inTime(d.Next.Sub(s.now)))
	}
}

func (s *story) attempt(a *explain.Attempt) {
	what := fmt.Sprintf("attempt %d", a.Number)
	if a.Letter {
		what = fmt.Sprintf("dead letter, attempt %d", a.Number)
	}
	if a.Redrive > 0 {
		what += fmt.Sprintf(" after redrive %d", a.Redrive)
	}
	if a.Batch > 1 {
		what += fmt.Sprintf(", one of %d events", a.Batch)
	}
	status := ""
	if a.Status > 0 {
		status = fmt.Sprintf("  status %d", a.Status)
	}
	verdict := good.Render(a.Verdict)
	switch {
	case a.Verdict == deliver.Expired.String():
		verdict = warning.Render(a.Verdict)
	case a.Message != "" || a.Code != "":
		verdict = bad.Render(a.Verdict)
	}
	if a.NotMade {
		s.line(4, "%s  no attempt any more  %s", s.time(a.Began), verdict)
	} else {
		s.line(4, "%s  %s, %s%s  %s", s.time(a.Began), what, took(time.Duration(a.Micros)*time.Microsecond), status, verdict)
	}
	if a.Message != "" {
		s.wrapped(6, bad, a.Code+": "+a.Message)
	}
	if a.Answer != "" {
		s.line(6, "%s %s", faint.Render("answer"), printable(a.Answer))
	}
}

func (s *story) notMatched(p *explain.Passage) {
	if len(p.NotMatched) == 0 {
		if len(p.Deliveries) == 0 && p.DuplicateOf == "" {
			s.line(2, "The bus has no other rule.")
		}
		return
	}
	s.line(0, "")
	s.line(2, "%s", faint.Render("did not match, as the rules are now:"))
	for _, n := range p.NotMatched {
		s.line(4, "%s", strong.Render(printable(n.Rule)))
		s.wrapped(6, lipgloss.NewStyle(), n.Why)
		if n.Changed != nil {
			s.line(6, "%s", warning.Render("The rule was changed at "+n.Changed.Local().Format(time.DateTime)+", after the event came."))
		}
	}
	if p.More > 0 {
		s.line(4, "%s", faint.Render(fmt.Sprintf("and %d more: --rules shows up to 200", p.More)))
	}
}

// time writes the time of day, with the date if it is not today's.
func (s *story) time(t time.Time) string {
	if t.IsZero() {
		return faint.Render("at some time")
	}
	t = t.Local()
	layout := "15:04:05.000"
	if y, m, d := t.Date(); s.now.Local().YearDay() != t.YearDay() || s.now.Local().Year() != y {
		layout = fmt.Sprintf("%04d-%02d-%02d 15:04:05.000", y, m, d)
	}
	return faint.Render(t.Format(layout))
}

func took(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	}
	return d.Round(time.Millisecond).String()
}

func inTime(d time.Duration) string {
	if d <= 0 {
		return ", as soon as there is room"
	}
	return ", in " + d.Round(100*time.Millisecond).String()
}

func labelled(label, text string) string {
	if text == "" {
		return ""
	}
	return label + printable(text)
}

func afterSlash(arn string) string {
	_, name, ok := strings.Cut(arn, "/")
	if !ok {
		return arn
	}
	return name
}
