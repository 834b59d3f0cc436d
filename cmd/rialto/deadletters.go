package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A letterFilter is the flags that select dead letters.
type letterFilter struct {
	rule, target, code, text, event string
}

func (f *letterFilter) declare(fs *pflag.FlagSet) {
	fs.StringVar(&f.rule, "rule", "", "`NAME` Only those of this rule or schedule, given by its name or its ARN.")
	describe(fs, "rule", "all")
	fs.StringVar(&f.target, "target", "", "`ID` Only those of this target, given by its id or its ARN.")
	describe(fs, "target", "all")
	fs.StringVar(&f.code, "code", "", "`CODE` Only those with this error code, such as CONNECTION_FAILURE.")
	describe(fs, "code", "all")
	fs.StringVar(&f.text, "text", "", "`TEXT` Only those with this text in the body, the event or the reason.")
	describe(fs, "text", "all")
	fs.StringVar(&f.event, "event", "", "`ID` Only those of this event.")
	describe(fs, "event", "all")
}

// set puts what is given into a list of names and values.
func (f *letterFilter) set(put func(name, value string)) {
	for _, given := range [][2]string{{"rule", f.rule}, {"target", f.target}, {"code", f.code}, {"text", f.text}, {"event", f.event}} {
		if given[1] != "" {
			put(given[0], given[1])
		}
	}
}

// A deadLetter is what the server says of a message.
type deadLetter struct {
	ID, Queue, Kind, State, Source     string
	Sent, Accepted                     time.Time
	Receives, Size, Redrives           int
	Rule, TargetID, Target, Event, Bus string
	Code, Reason, Exhausted, Retries   string
	Body                               *string
	Original                           json.RawMessage
}

// A deadLetterGroup is how many messages have the rest in common.
type deadLetterGroup struct {
	Queue, Kind, Rule, TargetID, Target, Code, Source string
	Count                                             int
	Oldest, Newest                                    time.Time
}

func newDeadLetters() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dead-letters COMMAND",
		Short: "Look at what could not be delivered",
		Long: `Looks at the messages of dead-letter queues without receiving them: no visibility timeout begins, and no receive is counted.
What can be brought back to its target is brought back by: rialto redrive.`,
		Example: `  rialto dead-letters list
  rialto dead-letters list orders-dead --code CONNECTION_FAILURE
  rialto dead-letters show 5f0c9a54-8e5b-4d26-a6c6-3f4a1b8a1a40`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newDeadLettersList(), newDeadLettersShow())
	return cmd
}

// deadLettersFlags is the command line of `rialto dead-letters list`.
type deadLettersFlags struct {
	client client
	filter letterFilter
	since  past
	limit  count
	after  string
	output outputFormat
}

func newDeadLettersList() *cobra.Command {
	var f deadLettersFlags
	cmd := &cobra.Command{
		Use:   "list [QUEUE]",
		Short: "Count dead letters by rule, target and error, and list them",
		Long: `Counts the dead letters of all queues, or all messages of one queue, by rule, target and error code, and lists the first of them. The
counts are of all that fit, however many are listed. Messages of a queue that are no dead letters of rules or schedules are counted as what they are.`,
		Example: `  rialto dead-letters list
  rialto dead-letters list orders-dead --rule paid --since 1h
  rialto dead-letters list --output json | jq '.groups'`,
		Args: atMostOne,
		RunE: func(cmd *cobra.Command, args []string) error { return f.list(cmd, args) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	f.filter.declare(fs)
	fs.Var(&f.since, "since", "`SPAN` Only those of the last time, such as 15m.")
	describe(fs, "since", "all")
	f.limit = 20
	fs.Var(&f.limit, "limit", "`N` List so many messages.")
	fs.StringVar(&f.after, "after", "", "`TOKEN` List those that come after a page, by the token that it ended with.")
	f.output.declare(fs, asPretty, asJSON)
	f.client.declare(fs)
	return cmd
}

// atMostOne refuses more than one argument.
func atMostOne(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usagef(cmd.CommandPath()+" --help", "%s takes one argument, so %q means nothing to it.", cmd.CommandPath(), args[1])
	}
	return nil
}

// exactly asks for one argument, which is a word for people.
func exactly(what, example string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 || args[0] == "" { // a variable of a script may be empty
			return usagef(cmd.CommandPath()+" "+example, "%s needs %s.", cmd.CommandPath(), what)
		}
		return atMostOne(cmd, args)
	}
}

func (f *deadLettersFlags) list(cmd *cobra.Command, args []string) error {
	query := url.Values{}
	f.filter.set(query.Set)
	if len(args) > 0 {
		query.Set("queue", args[0])
	}
	if f.since > 0 {
		query.Set("from", f.since.String())
	}
	query.Set("limit", f.limit.String())
	if f.after != "" {
		query.Set("after", f.after)
	}
	if f.output == asJSON {
		var answer json.RawMessage
		if err := f.client.ask(cmd.Context(), http.MethodGet, "dead-letters", query, nil, &answer); err != nil {
			return err
		}
		return indented(cmd.OutOrStdout(), answer)
	}
	var answer struct {
		Total   int
		Groups  []deadLetterGroup
		Letters []deadLetter
		Next    string
		Partial bool
	}
	if err := f.client.ask(cmd.Context(), http.MethodGet, "dead-letters", query, nil, &answer); err != nil {
		return err
	}
	if answer.Total == 0 && answer.Next == "" {
		fmt.Fprintln(cmd.ErrOrStderr(), "There is no message like that.")
		return nil
	}
	t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "COUNT\tQUEUE\tRULE\tTARGET\tERROR\tOLDEST\tNEWEST")
	for _, g := range answer.Groups {
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", g.Count, g.Queue, ruleOf(g.Kind, g.Rule, g.Source), targetOf(g.Kind, g.TargetID, g.Target), printable(g.Code),
			g.Oldest.Local().Format(time.DateTime), g.Newest.Local().Format(time.DateTime))
	}
	fmt.Fprintln(t)
	fmt.Fprintln(t, "SENT\tMESSAGE\tEVENT\tRULE\tTARGET\tERROR\tREDRIVES\tSTATE")
	for _, l := range answer.Letters {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", l.Sent.Local().Format(time.DateTime), l.ID, l.Event, ruleOf(l.Kind, l.Rule, l.Source),
			targetOf(l.Kind, l.TargetID, l.Target), printable(l.Code), l.Redrives, l.State)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	switch {
	case answer.Partial && answer.Next != "":
		fmt.Fprintf(cmd.ErrOrStderr(), "There are too many messages to look at all at once, and the counts are of a part. What comes next: --after %s\n", answer.Next)
	case answer.Partial:
		fmt.Fprintln(cmd.ErrOrStderr(), "The counts are of what came after the page before.")
	case answer.Next != "":
		fmt.Fprintf(cmd.ErrOrStderr(), "%d of %d are listed. The next ones: --after %s\n", len(answer.Letters), answer.Total, answer.Next)
	}
	return nil
}

// ruleOf is how a column calls the rule or schedule of a message, or what it is if it has none.
func ruleOf(kind, rule, source string) string {
	switch kind {
	case "rule", "schedule":
		return printable(rule[strings.LastIndexByte(rule, '/')+1:])
	case "queue":
		return "(queue " + printable(source[strings.LastIndexByte(source, ':')+1:]) + ")"
	}
	return "(sent)"
}

// targetOf is how a column calls the target of a message: that of a rule by its id, and that of a schedule by the call that it is.
func targetOf(kind, id, arn string) string {
	if kind == "schedule" {
		return printable(strings.TrimPrefix(arn, "arn:aws:scheduler:::aws-sdk:"))
	}
	return printable(id)
}

// deadLetterFlags is the command line of `rialto dead-letters show`.
type deadLetterFlags struct {
	client client
	queue  string
	after  string
	output outputFormat
}

func newDeadLettersShow() *cobra.Command {
	var f deadLetterFlags
	cmd := &cobra.Command{
		Use:     "show MESSAGE-ID",
		Short:   "Show one dead letter, and the event as it was accepted",
		Example: `  rialto dead-letters show 5f0c9a54-8e5b-4d26-a6c6-3f4a1b8a1a40 --output json | jq .original`,
		Args:    exactly("the id of a message", "5f0c9a54-8e5b-4d26-a6c6-3f4a1b8a1a40"),
		RunE:    func(cmd *cobra.Command, args []string) error { return f.show(cmd, args[0]) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.queue, "queue", "", "`NAME` Where to look for it.")
	describe(fs, "queue", "all queues")
	fs.StringVar(&f.after, "after", "", "`TOKEN` Where to begin, if there are more than 20,000 messages before it.")
	f.output.declare(fs, asPretty, asJSON)
	f.client.declare(fs)
	return cmd
}

func (f *deadLetterFlags) show(cmd *cobra.Command, id string) error {
	query := url.Values{}
	if f.queue != "" {
		query.Set("queue", f.queue)
	}
	if f.after != "" {
		query.Set("after", f.after)
	}
	var text json.RawMessage
	if err := f.client.ask(cmd.Context(), http.MethodGet, "dead-letters/"+url.PathEscape(id), query, nil, &text); err != nil {
		return err
	}
	if f.output == asJSON {
		return indented(cmd.OutOrStdout(), text)
	}
	var l deadLetter
	if err := json.Unmarshal(text, &l); err != nil {
		return fmt.Errorf("read the answer of the server: %w", err)
	}
	t := tabwriter.NewWriter(colored(cmd.OutOrStdout()), 0, 0, 2, ' ', 0)
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", name, printable(value))
		}
	}
	field("message", l.ID)
	field("queue", fmt.Sprintf("%s, %s, received %d times", l.Queue, l.State, l.Receives))
	field("sent", l.Sent.Local().Format(time.DateTime))
	field("came from", l.Source)
	field("event", l.Event)
	sender := "rule"
	if l.Kind == "schedule" {
		sender = l.Kind
	}
	if l.Rule != "" {
		field("accepted", l.Accepted.Local().Format(time.DateTime))
	}
	field("bus", l.Bus)
	field(sender, l.Rule)
	field("target", strings.TrimSpace(l.TargetID+" "+l.Target))
	field("error", l.Code)
	field("reason", l.Reason)
	if l.Exhausted != "" {
		field("exhausted", l.Exhausted+", after "+l.Retries+" retries")
	}
	if l.Redrives > 0 {
		field("redriven", fmt.Sprintf("%d times before", l.Redrives))
	}
	if l.Body != nil {
		field("body", *l.Body)
	}
	if l.Body != nil && string(l.Original) != *l.Body {
		field("accepted as", string(l.Original))
	}
	return t.Flush()
}
