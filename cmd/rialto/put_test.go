package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/google/go-cmp/cmp"
)

// A fakeBus answers each call as the next of its functions says; the last one answers all others, too.
type fakeBus struct {
	answers []func(detail string) types.PutEventsResultEntry
	calls   [][]string // the details of each
}

func (b *fakeBus) PutEvents(_ context.Context, in *eventbridge.PutEventsInput, _ ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error) {
	answer := b.answers[min(len(b.calls), len(b.answers)-1)]
	out := &eventbridge.PutEventsOutput{}
	var details []string
	for _, e := range in.Entries {
		details = append(details, aws.ToString(e.Detail))
		out.Entries = append(out.Entries, answer(aws.ToString(e.Detail)))
	}
	b.calls = append(b.calls, details)
	return out, nil
}

func accepted(detail string) types.PutEventsResultEntry {
	return types.PutEventsResultEntry{EventId: aws.String("id of " + detail)}
}

func except(detail, code string) func(string) types.PutEventsResultEntry {
	return func(d string) types.PutEventsResultEntry {
		if d != detail {
			return accepted(d)
		}
		return types.PutEventsResultEntry{ErrorCode: &code, ErrorMessage: aws.String("no")}
	}
}

// putAll puts n events, and returns what was written.
func putAll(t *testing.T, bus *fakeBus, n int) (out, errOut string, err error) {
	t.Helper()
	var o, e bytes.Buffer
	p := &putter{api: bus, out: bufio.NewWriter(&o), errOut: &e, output: asText}
	i := 0
	err = p.all(t.Context(), func() (*numbered, error) {
		if i == n {
			return nil, io.EOF
		}
		i++
		return &numbered{line: i, size: 10, PutEventsRequestEntry: types.PutEventsRequestEntry{Detail: aws.String(fmt.Sprint(i))}}, nil
	})
	_ = p.out.Flush()
	return o.String(), e.String(), err
}

func TestEventsGoInBatchesOfTen(t *testing.T) {
	bus := &fakeBus{answers: []func(string) types.PutEventsResultEntry{accepted}}
	out, _, err := putAll(t, bus, 23)
	if err != nil {
		t.Fatal(err)
	}
	var sizes []int
	for _, c := range bus.calls {
		sizes = append(sizes, len(c))
	}
	if want := []int{10, 10, 3}; !slices.Equal(sizes, want) {
		t.Errorf("batches of %v events, want %v", sizes, want)
	}
	if lines := strings.Split(strings.TrimSpace(out), "\n"); len(lines) != 23 || lines[22] != "id of 23" {
		t.Errorf("ids, in the order of the lines:\n%s", out)
	}
}

func TestOnlyWhatFailedForNowIsPutAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := &fakeBus{answers: []func(string) types.PutEventsResultEntry{except("2", "ThrottlingException"), except("2", "InternalFailure"), accepted}}
		began := time.Now()
		out, _, err := putAll(t, bus, 3)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([][]string{{"1", "2", "3"}, {"2"}, {"2"}}, bus.calls); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
		if want := "id of 1\nid of 2\nid of 3\n"; out != want {
			t.Errorf("got\n%swant\n%s", out, want)
		}
		if spent := time.Since(began); spent < firstPause/2+firstPause || spent > firstPause+2*firstPause {
			t.Errorf("it paused for %v altogether", spent)
		}
	})
}

func TestWhatIsRefusedIsReportedWithItsLine(t *testing.T) {
	bus := &fakeBus{answers: []func(string) types.PutEventsResultEntry{except("2", "MalformedDetail")}}
	out, errOut, err := putAll(t, bus, 3)
	if want := "id of 1\nid of 3\n"; out != want {
		t.Errorf("got\n%swant\n%s", out, want)
	}
	if want := "line 2: MalformedDetail: no\n"; errOut != want {
		t.Errorf("errors: got %q, want %q", errOut, want)
	}
	if f, ok := errors.AsType[*failure](err); !ok || f.message != "1 of 3 events were refused." {
		t.Errorf("error %v", err)
	}
	if len(bus.calls) != 1 {
		t.Errorf("%d calls, want 1: it makes no sense to put it again", len(bus.calls))
	}
}

func TestWhatNeverWorksEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := &fakeBus{answers: []func(string) types.PutEventsResultEntry{except("1", "ThrottlingException")}}
		_, errOut, err := putAll(t, bus, 1)
		if err == nil || len(bus.calls) != putAttempts || !strings.Contains(errOut, "ThrottlingException") {
			t.Errorf("%d calls, error %v, said %q", len(bus.calls), err, errOut)
		}
	})
}

func TestLinesAreEntriesOrWholeEvents(t *testing.T) {
	at := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name, line string
		want       types.PutEventsRequestEntry
		err        string
	}{
		{"an entry", `{"Source":"s","DetailType":"t","Detail":"{\"a\":1}","EventBusName":"b","Resources":["r"],"Time":"2026-11-23T10:00:00Z"}`,
			types.PutEventsRequestEntry{Source: aws.String("s"), DetailType: aws.String("t"), Detail: aws.String(`{"a":1}`), EventBusName: aws.String("b"), Resources: []string{"r"}, Time: &at}, ""},
		{"an entry whose detail is an object, and whose time is in seconds", `{"Source":"s","DetailType":"t","Detail":{"a": 1},"Time":1795428000}`,
			types.PutEventsRequestEntry{Source: aws.String("s"), DetailType: aws.String("t"), Detail: aws.String(`{"a": 1}`), Time: &at}, ""},
		{"a whole event", `{"version":"0","id":"i","detail-type":"t","source":"s","account":"1","time":"2026-11-23T10:00:00Z","region":"r","resources":[],"detail":{"a":1}}`,
			types.PutEventsRequestEntry{Source: aws.String("s"), DetailType: aws.String("t"), Detail: aws.String(`{"a":1}`), Resources: []string{}, Time: &at}, ""},
		{"no detail", `{"Source":"s","DetailType":"t"}`, types.PutEventsRequestEntry{}, "a detail"},
		{"no object", `[]`, types.PutEventsRequestEntry{}, "cannot unmarshal"},
		{"no time", `{"Source":"s","DetailType":"t","Detail":{},"Time":"noon"}`, types.PutEventsRequestEntry{}, "neither RFC 3339 nor seconds"},
	} {
		got, err := parseEntry([]byte(c.line))
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: error %v, want one that says %q", c.name, err, c.err)
			}
			continue
		}
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(types.PutEventsRequestEntry{})); diff != "" || err != nil {
			t.Errorf("%s: error %v, (-want +got):\n%s", c.name, err, diff)
		}
	}
}

func FuzzParseEntry(f *testing.F) {
	f.Add([]byte(`{"Source":"s","DetailType":"t","Detail":"{}","Time":1e300}`))
	f.Add([]byte(`{"source":"s","detail-type":"t","detail":{"a":[1]},"time":"2026-11-23T10:00:00Z"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if e, err := parseEntry(line); err == nil && (e.Source == nil || e.DetailType == nil || e.Detail == nil) {
			t.Errorf("%q has no error and lacks what an event needs", line)
		}
	})
}
