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
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/spf13/cobra"
)

// Limits of one PutEvents call, and of what is read.
const (
	batchEntries = 10        // by the service model
	batchBytes   = 256 << 10 // what AWS took for years; a larger event goes alone
	maxLine      = 4 << 20   // bytes of a line; an event has at most 1 MiB
)

// An entry that the server could not take now is put again, as AWS asks of its callers, with growing pauses.
const (
	putAttempts = 8
	firstPause  = 100 * time.Millisecond
	longPause   = 5 * time.Second
)

// putFlags is the command line of `rialto put`.
type putFlags struct {
	client     client
	bus        string
	source     string
	detailType string
	detail     string
	resources  []string
	time       string
	file       string
	output     outputFormat
}

func newPut() *cobra.Command {
	var f putFlags
	cmd := &cobra.Command{
		Use:   "put",
		Short: "Put events on a bus",
		Long: `Puts one event, or each line of a file, on a bus, and prints the id that each got. An event with an id is stored.

A line of a file is a JSON object: either an entry as PutEvents takes it (Source, DetailType, Detail, EventBusName, Resources,
Time; Detail may be an object) or a whole event (source, detail-type, detail, resources, time). They are put in their order, ten
at a time; what the server cannot take at the moment is put again, what it refuses is reported with its line.`,
		Example: `  rialto put --source shop --detail-type paid --detail '{"total": 250}'
  rialto put --bus orders --source shop --detail-type paid --detail @order.json
  rialto put --bus orders --file events.jsonl
  jq -c '.events[]' dump.json | rialto put --file - --output json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return put(cmd, &f) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.bus, "bus", "", "`NAME` The bus, or its ARN. With --file, it is for lines that name none.")
	describe(fs, "bus", "the bus called default")
	fs.StringVar(&f.source, "source", "", "`NAME` Who puts the event, such as shop.")
	fs.StringVar(&f.detailType, "detail-type", "", "`NAME` What happened, such as paid.")
	fs.StringVar(&f.detail, "detail", "{}", "`JSON` What the event says, an object; @FILE reads it from a file, - from standard input.")
	fs.StringSliceVar(&f.resources, "resources", nil, "`ARNS` What the event is about, separated by commas.")
	fs.StringVar(&f.time, "time", "", "`TIME` When it happened, such as 2026-11-23T10:00:00Z.")
	describe(fs, "time", "now")
	fs.StringVar(&f.file, "file", "", "`FILE` Put each line of a file of JSON lines; - is standard input.")
	f.output.declare(fs, asText, asJSON)
	f.client.declare(fs)
	return cmd
}

func put(cmd *cobra.Command, f *putFlags) error {
	api, err := f.client.events()
	if err != nil {
		return err
	}
	next, total, closeSource, err := f.entries(cmd)
	if err != nil {
		return err
	}
	defer closeSource()
	p := &putter{
		api: api, out: bufio.NewWriter(cmd.OutOrStdout()), errOut: cmd.ErrOrStderr(), output: f.output,
		progress: newProgress(cmd.ErrOrStderr(), total),
	}
	if isTerminal(cmd.OutOrStdout()) {
		p.progress = nil // the ids scroll by: that is progress enough
	}
	err = errors.Join(p.all(cmd.Context(), next), p.out.Flush())
	if err == nil && p.put == 1 && isTerminal(cmd.ErrOrStderr()) {
		fmt.Fprintf(colored(cmd.ErrOrStderr()), "%s\n", faint.Render(fmt.Sprintf("What became of it: %s explain %s", invocation(), p.last)))
	}
	return err
}

// entries returns what to put, one after the other until io.EOF, and how many bytes that is, if it can be told.
func (f *putFlags) entries(cmd *cobra.Command) (next func() (*numbered, error), total int64, closeSource func(), err error) {
	if f.file == "" {
		e, err := f.single(cmd.InOrStdin())
		return once(e), 0, func() {}, err
	}
	for _, name := range []string{"source", "detail-type", "detail", "resources", "time"} {
		if cmd.Flags().Changed(name) {
			return nil, 0, nil, usagef("leave one of them out", "--%s describes one event, and --file has them all.", name)
		}
	}
	if f.file == "-" {
		return f.lines(cmd.InOrStdin(), "standard input"), 0, func() {}, nil
	}
	file, err := os.Open(f.file)
	if err != nil {
		return nil, 0, nil, err
	}
	if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
		total = info.Size()
	}
	return f.lines(file, f.file), total, func() { file.Close() }, nil
}

// A numbered is an entry and where it is from.
type numbered struct {
	types.PutEventsRequestEntry
	line int // 0 if it is the only one
	size int // bytes of its source
}

func once(e *numbered) func() (*numbered, error) {
	return func() (*numbered, error) {
		if e == nil {
			return nil, io.EOF
		}
		first := e
		e = nil
		return first, nil
	}
}

// single makes the entry that the flags describe.
func (f *putFlags) single(stdin io.Reader) (*numbered, error) {
	const try = `rialto put --source shop --detail-type paid --detail '{"total": 250}'`
	if f.source == "" || f.detailType == "" {
		return nil, usagef(try, "An event needs at least --source and --detail-type, or --file with many of them.")
	}
	detail, err := argument(f.detail, stdin)
	if err != nil {
		return nil, err
	}
	if !isObject(detail) {
		return nil, usagef("single quotes around it, or --detail @FILE", "The detail of an event is a JSON object; this is none: %s", shorten(printable(string(detail)), 60))
	}
	e := &numbered{size: len(detail), PutEventsRequestEntry: types.PutEventsRequestEntry{
		Source: &f.source, DetailType: &f.detailType, Detail: aws.String(string(detail)), Resources: f.resources, EventBusName: optional(f.bus),
	}}
	if f.time != "" {
		at, err := time.Parse(time.RFC3339, f.time)
		if err != nil {
			return nil, usagef("--time "+time.Now().UTC().Format(time.RFC3339), "%q is not a time.", f.time)
		}
		e.Time = &at
	}
	return e, nil
}

// argument is the value of a flag that may name a file instead, with @, or be standard input, "-".
func argument(value string, stdin io.Reader) ([]byte, error) {
	if value == "-" {
		return io.ReadAll(stdin)
	}
	if path, ok := strings.CutPrefix(value, "@"); ok {
		return os.ReadFile(path)
	}
	return []byte(value), nil
}

func isObject(b []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n"), []byte("{")) && json.Valid(b)
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// lines reads entries from JSON lines.
func (f *putFlags) lines(r io.Reader, name string) func() (*numbered, error) {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, 64<<10), maxLine)
	line := 0
	return func() (*numbered, error) {
		for s.Scan() {
			line++
			if len(bytes.TrimSpace(s.Bytes())) == 0 {
				continue
			}
			e, err := parseEntry(s.Bytes())
			if err != nil {
				return nil, &failure{
					message: fmt.Sprintf("Line %d of %s is not an event: %v. Those before it were put.", line, name, err),
					try:     `one object a line, such as {"Source": "shop", "DetailType": "paid", "Detail": {"total": 250}}`,
				}
			}
			if e.EventBusName == nil {
				e.EventBusName = optional(f.bus)
			}
			return &numbered{PutEventsRequestEntry: e, line: line, size: len(s.Bytes()) + 1}, nil
		}
		if errors.Is(s.Err(), bufio.ErrTooLong) {
			return nil, &failure{message: fmt.Sprintf("Line %d of %s has more than %d bytes.", line+1, name, maxLine), try: "one event a line"}
		}
		if s.Err() != nil {
			return nil, fmt.Errorf("read %s: %w", name, s.Err())
		}
		return nil, io.EOF
	}
}

// parseEntry reads a line: an entry of PutEvents or a whole event. Names match in any case, so that one struct reads both.
func parseEntry(line []byte) (types.PutEventsRequestEntry, error) {
	var in struct {
		Source       *string
		DetailType   *string
		Event        *string `json:"detail-type"`
		Detail       json.RawMessage
		EventBusName *string
		Resources    []string
		Time         json.RawMessage
		TraceHeader  *string
	}
	var none types.PutEventsRequestEntry
	if err := json.Unmarshal(line, &in); err != nil {
		return none, err
	}
	out := types.PutEventsRequestEntry{
		Source: in.Source, DetailType: cmp.Or(in.DetailType, in.Event), EventBusName: in.EventBusName, Resources: in.Resources, TraceHeader: in.TraceHeader,
	}
	if out.Source == nil || out.DetailType == nil || in.Detail == nil {
		return none, errors.New("it needs a source, a detail-type and a detail")
	}
	detail := string(in.Detail)
	if in.Detail[0] == '"' { // JSON within a string, as PutEvents takes it
		if err := json.Unmarshal(in.Detail, &detail); err != nil {
			return none, err
		}
	}
	out.Detail = &detail
	at, err := parseTime(in.Time)
	out.Time = at
	return out, err
}

// parseTime reads a time as a string or, as the AWS protocols write it, in seconds.
func parseTime(raw json.RawMessage) (*time.Time, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	if seconds, err := strconv.ParseFloat(string(raw), 64); err == nil {
		whole, part := math.Modf(seconds)
		at := time.Unix(int64(whole), int64(part*1e9)).UTC()
		return &at, nil
	}
	var at time.Time
	if err := json.Unmarshal(raw, &at); err != nil {
		return nil, fmt.Errorf("its time is neither RFC 3339 nor seconds: %s", raw)
	}
	return &at, nil
}

// A putter puts entries in batches and prints what became of each, in their order.
type putter struct {
	api interface {
		PutEvents(context.Context, *eventbridge.PutEventsInput, ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error)
	}
	out      *bufio.Writer
	errOut   io.Writer
	output   outputFormat
	progress *progress // nil shows none
	put      int
	refused  int
	last     string // id of the last event that was put
}

// all puts entries until there are no more.
func (p *putter) all(ctx context.Context, next func() (*numbered, error)) error {
	var batch []*numbered
	size := 0
	var err error
	for err == nil {
		var e *numbered
		if e, err = next(); err != nil {
			break
		}
		if len(batch) == batchEntries || len(batch) > 0 && size+e.size > batchBytes {
			err = p.batch(ctx, batch)
			batch, size = batch[:0], 0
		}
		batch, size = append(batch, e), size+e.size
	}
	var unreadable *failure
	if err == io.EOF || errors.As(err, &unreadable) && len(batch) > 0 {
		if perr := p.batch(ctx, batch); perr != nil || err == io.EOF {
			err = perr
		}
	}
	p.progress.done()
	switch {
	case err != nil && ctx.Err() != nil:
		return &failure{message: fmt.Sprintf("Interrupted after %d events were put.", p.put), cause: ctx.Err()}
	case err != nil:
		return err
	case p.refused > 0:
		return &failure{message: fmt.Sprintf("%d of %d events were refused.", p.refused, p.refused+p.put), try: "mend those lines and put them again; the others are stored"}
	}
	return nil
}

// batch puts up to ten entries, again and again those that the server could not take.
func (p *putter) batch(ctx context.Context, batch []*numbered) error {
	if len(batch) == 0 {
		return nil
	}
	results := make([]types.PutEventsResultEntry, len(batch))
	waiting := make([]int, len(batch)) // indices of what is still to put
	for i := range batch {
		waiting[i] = i
	}
	for attempt := 1; len(waiting) > 0; attempt++ {
		if attempt > 1 {
			if err := pause(ctx, attempt-1); err != nil {
				return err
			}
		}
		in := &eventbridge.PutEventsInput{}
		for _, i := range waiting {
			in.Entries = append(in.Entries, batch[i].PutEventsRequestEntry)
		}
		out, err := p.api.PutEvents(ctx, in)
		if err != nil {
			return err
		}
		if len(out.Entries) != len(waiting) {
			return fmt.Errorf("the server answered %d entries with %d results", len(waiting), len(out.Entries))
		}
		var again []int
		for k, i := range waiting {
			results[i] = out.Entries[k]
			if results[i].EventId == nil && passing(results[i]) && attempt < putAttempts {
				again = append(again, i)
			}
		}
		waiting = again
	}
	for i, e := range batch {
		p.report(e, results[i])
	}
	return nil
}

// passing reports whether it makes sense to put an entry again.
func passing(r types.PutEventsResultEntry) bool {
	switch aws.ToString(r.ErrorCode) {
	case "ThrottlingException", "InternalFailure", "InternalException", "ServiceUnavailable", "ServiceUnavailableException":
		return true
	}
	return false
}

// pause waits before the next attempt, half of the time by chance, so that many callers do not come back together.
func pause(ctx context.Context, attempt int) error {
	d := min(longPause, firstPause<<(attempt-1))
	t := time.NewTimer(d/2 + rand.N(d/2))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// report prints what became of an entry.
func (p *putter) report(e *numbered, r types.PutEventsResultEntry) {
	id, code, message := aws.ToString(r.EventId), aws.ToString(r.ErrorCode), aws.ToString(r.ErrorMessage)
	if id != "" {
		p.put, p.last = p.put+1, id
	} else {
		p.refused++
	}
	p.progress.add(e.size)
	switch {
	case p.output == asJSON:
		_ = json.NewEncoder(p.out).Encode(struct {
			Line         int    `json:",omitempty"`
			EventId      string `json:",omitempty"`
			ErrorCode    string `json:",omitempty"`
			ErrorMessage string `json:",omitempty"`
		}{e.line, id, code, message})
	case id != "":
		fmt.Fprintln(p.out, id)
	case e.line > 0:
		p.progress.clear()
		fmt.Fprintf(p.errOut, "line %d: %s: %s\n", e.line, code, message)
	default:
		fmt.Fprintf(p.errOut, "%s: %s\n", code, message)
	}
}
