package rialtotest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/rialto-events/rialto/rialtotest"
)

// archive makes an archive of the default bus and returns its ARN.
func archive(t *testing.T, srv *rialtotest.Server, name, pattern string) string {
	t.Helper()
	in := &eventbridge.CreateArchiveInput{ArchiveName: &name, EventSourceArn: aws.String("arn:aws:events:us-east-1:000000000000:event-bus/default")}
	if pattern != "" {
		in.EventPattern = &pattern
	}
	out, err := srv.Events().CreateArchive(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return *out.ArchiveArn
}

func wantCount(t *testing.T, srv *rialtotest.Server, name string, want int64) {
	t.Helper()
	out, err := srv.Events().DescribeArchive(t.Context(), &eventbridge.DescribeArchiveInput{ArchiveName: &name})
	if err != nil {
		t.Fatal(err)
	}
	if out.EventCount != want || (out.SizeBytes > 0) != (want > 0) {
		t.Errorf("archive %s has %d events of %d bytes, want %d events", name, out.EventCount, out.SizeBytes, want)
	}
}

// startReplay replays the year 2026 of an archive to the default bus.
func startReplay(t *testing.T, srv *rialtotest.Server, name, archiveARN string, filters ...string) {
	t.Helper()
	out, err := srv.Events().StartReplay(t.Context(), &eventbridge.StartReplayInput{
		ReplayName: &name, EventSourceArn: &archiveARN,
		EventStartTime: aws.Time(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)), EventEndTime: aws.Time(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)),
		Destination: &types.ReplayDestination{Arn: aws.String("arn:aws:events:us-east-1:000000000000:event-bus/default"), FilterArns: filters},
	})
	if err != nil || out.State != types.ReplayStateStarting {
		t.Fatalf("StartReplay: %+v, %v", out, err)
	}
}

// replayEnds waits for the end of a replay.
func replayEnds(t *testing.T, srv *rialtotest.Server, name string) *eventbridge.DescribeReplayOutput {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		out, err := srv.Events().DescribeReplay(t.Context(), &eventbridge.DescribeReplayInput{ReplayName: &name})
		if err != nil {
			t.Fatal(err)
		}
		if out.ReplayEndTime != nil {
			return out
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-deadline:
			t.Fatalf("the replay %s is still %s", name, out.State)
		}
	}
}

// TestReplayAtOnce: what was put a moment ago is in the archive, and in a replay of it.
func TestReplayAtOnce(t *testing.T) {
	srv := rialtotest.Start(t)
	hook, other := srv.Webhook(t), srv.Webhook(t)
	rule := srv.PutRule(t, "orders", `{"source": ["shop"]}`, hook.ARN)
	srv.PutRule(t, "others", `{"source": ["shop"]}`, other.ARN)
	from := archive(t, srv, "all", "")
	archive(t, srv, "none", `{"source": ["nobody"]}`)

	ids := srv.PutEvents(t, `{"Source": "shop", "DetailType": "paid", "Detail": "{\"n\": 1.50}", "Resources": ["a\"b"], "Time": "2026-03-01T10:00:05Z"}`)
	wantCount(t, srv, "all", 1)
	wantCount(t, srv, "none", 0)
	startReplay(t, srv, "again", from, rule)
	hook.Want(t, fmt.Sprintf(`{"id": %q, "detail": {"n": 1.5}}`, ids[0]))
	body := hook.Want(t, `{"replay-name": "again", "source": "shop", "time": "2026-03-01T10:00:05Z", "region": "us-east-1", "resources": ["a\"b"]}`).Body
	var event struct{ ID string }
	if err := json.Unmarshal([]byte(body), &event); err != nil || event.ID == ids[0] || event.ID == "" {
		t.Errorf("the replayed event is %s (%v)", body, err)
	}
	end := replayEnds(t, srv, "again")
	if end.State != types.ReplayStateCompleted || !end.EventLastReplayedTime.Equal(time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)) {
		t.Errorf("the replay is %+v", end)
	}
	wantCount(t, srv, "all", 1) // what is replayed is not archived
	other.Want(t, `{"id": "`+ids[0]+`"}`)
	if n := other.Received(); n != 1 {
		t.Errorf("the rule that was not asked for got %d events", n)
	}
}

// TestReplayAcrossRestarts: archives and replays go on where they were.
func TestReplayAcrossRestarts(t *testing.T) {
	srv := rialtotest.Start(t)
	hook := srv.Webhook(t)
	from := archive(t, srv, "all", `{"source": ["shop"]}`) // not what circuits tell of at a start
	const n = 200
	for i := range n / 10 {
		var entries []string
		for j := range 10 {
			entries = append(entries, fmt.Sprintf(`{"Source": "shop", "DetailType": "paid", "Detail": "{\"n\": %d}", "Time": "2026-03-01T10:%02d:05Z"}`, i*10+j, i))
		}
		srv.PutEvents(t, entries...)
	}
	srv.PutRule(t, "orders", `{"source": ["shop"], "replay-name": [{"exists": true}]}`, hook.ARN)
	srv.Restart(t)
	wantCount(t, srv, "all", n)
	startReplay(t, srv, "again", from)
	srv.Restart(t)
	if end := replayEnds(t, srv, "again"); end.State != types.ReplayStateCompleted {
		t.Errorf("the replay is %+v", end)
	}
	seen := make(map[string]bool)
	for i := range n {
		seen[string(hook.Want(t, fmt.Sprintf(`{"replay-name": "again", "detail": {"n": %d}}`, i)).Body)] = true
	}
	if len(seen) != n {
		t.Errorf("%d different events came", len(seen))
	}
	wantCount(t, srv, "all", n)
	if _, err := srv.Events().DeleteArchive(t.Context(), &eventbridge.DeleteArchiveInput{ArchiveName: aws.String("all")}); err != nil {
		t.Fatal(err)
	}
}

// A replayState is what rialto's own API says of a replay.
type replayState struct {
	State, Reason, Order string
	Paused               bool
	Expected, Put, Read  int
	Speed                struct{ PerSecond float64 }
	Events, Deliveries   int
	Goals                []struct {
		Rule, TargetID, Target string
		Events                 int
	}
}

func (r *replayState) over() bool {
	return r.State == "COMPLETED" || r.State == "FAILED" || r.State == "CANCELLED"
}

// change asks rialto's own API for a change, which must go well.
func change(t *testing.T, srv *rialtotest.Server, path, body string, answer any) {
	t.Helper()
	if status, text := call(t, srv, http.MethodPost, path, body, answer); status != http.StatusOK {
		t.Fatalf("%s with %s answered %d %s", path, body, status, text)
	}
}

// put30 puts 30 events of 30 seconds, every third of which is paid.
func put30(t *testing.T, srv *rialtotest.Server) {
	t.Helper()
	for i := range 3 {
		var entries []string
		for j := range 10 {
			n := i*10 + j
			kind := []string{"placed", "paid", "sent"}[n%3]
			entries = append(entries, fmt.Sprintf(`{"Source": "shop", "DetailType": %q, "Detail": "{\"n\": %d}", "Time": "2026-03-01T10:00:%02dZ"}`, kind, n, n))
		}
		srv.PutEvents(t, entries...)
	}
}

// TestReplayElsewhere: a dry run says what a replay does, and a replay goes to another bus, one rule, one target, in order.
func TestReplayElsewhere(t *testing.T) {
	srv := rialtotest.Start(t)
	archive(t, srv, "all", `{"source": ["shop"]}`)
	put30(t, srv)
	srv.Bus(t, "other")
	one, two, three := srv.Webhook(t), srv.Webhook(t), srv.Webhook(t)
	srv.PutRule(t, "other/paid", `{"detail-type": ["paid"]}`, one.ARN, two.ARN)
	srv.PutRule(t, "other/all", `{"source": ["shop"]}`, three.ARN)
	targets, err := srv.Events().ListTargetsByRule(t.Context(), &eventbridge.ListTargetsByRuleInput{Rule: aws.String("paid"), EventBusName: aws.String("other")})
	if err != nil {
		t.Fatal(err)
	}
	id := *targets.Targets[0].Id

	var dry replayState
	change(t, srv, "/replays/dry-run", `{"archive": "all", "bus": "other"}`, &dry)
	if dry.Events != 30 || dry.Put != 30 || dry.Deliveries != 50 || len(dry.Goals) != 3 {
		t.Errorf("the dry run says %+v", dry)
	}
	if n := one.Received() + two.Received() + three.Received(); n != 0 {
		t.Errorf("the dry run delivered %d events", n)
	}
	var r replayState
	body := fmt.Sprintf(`{"name": "r", "archive": "all", "bus": "other", "rules": ["paid"], "target": %q, "order": "time", "from": "2026-03-01T10:00:10Z"}`, id)
	change(t, srv, "/replays", body, &r)
	if r.Expected != 20 {
		t.Errorf("%d events are expected, want 20", r.Expected)
	}
	until(t, srv, "/replays/r", (*replayState).over)
	hook := one
	if *targets.Targets[0].Arn != one.ARN {
		hook = two
	}
	for n := 10; n < 30; n += 3 {
		hook.Want(t, fmt.Sprintf(`{"replay-name": "r", "detail": {"n": %d}}`, n))
	}
	if n := one.Received() + two.Received() + three.Received(); n != 7 {
		t.Errorf("%d events came, want the 7 of one target", n)
	}
	for body, want := range map[string]int{
		`{"name": "x", "archive": "none"}`:                                                              http.StatusNotFound,
		`{"name": "x", "archive": "all", "bus": "none"}`:                                                http.StatusNotFound,
		`{"name": "x", "archive": "all", "rules": ["none"]}`:                                            http.StatusNotFound,
		`{"name": "x\"", "archive": "all"}`:                                                             http.StatusBadRequest,
		`{"name": "x", "archive": "all", "target": "1"}`:                                                http.StatusBadRequest,
		`{"name": "x", "archive": "all", "order": "by luck"}`:                                           http.StatusBadRequest,
		`{"name": "x", "archive": "all", "speed": {"perSecond": -1}}`:                                   http.StatusBadRequest,
		`{"name": "x", "archive": "all", "speed": {"perSecond": 1, "times": 1}}`:                        http.StatusBadRequest,
		`{"name": "x", "archive": "all", "pattern": "{"}`:                                               http.StatusBadRequest,
		`{"name": "r", "archive": "all"}`:                                                               http.StatusBadRequest,
		`{"name": "x", "archive": "all", "from": "2026-03-01T00:00:00Z", "to": "2026-03-01T00:00:00Z"}`: http.StatusBadRequest,
	} {
		if status, text := call(t, srv, http.MethodPost, "/replays", body, nil); status != want {
			t.Errorf("a replay of %s answered %d %s, want %d", body, status, text, want)
		}
	}
}

// TestReplayPauses: a replay rests, goes on at another speed, and ends when it is told to.
func TestReplayPauses(t *testing.T) {
	srv := rialtotest.Start(t)
	hook := srv.Webhook(t)
	archive(t, srv, "all", `{"source": ["shop"]}`)
	put30(t, srv)
	srv.PutRule(t, "all", `{"replay-name": [{"exists": true}]}`, hook.ARN)
	change(t, srv, "/replays", `{"name": "r", "archive": "all", "speed": {"perSecond": 0.01}}`, nil)
	hook.Want(t, `{"detail": {"n": 0}}`)
	var r replayState
	change(t, srv, "/replays/r/pause", "", &r)
	if !r.Paused || r.Put > 1 {
		t.Errorf("the paused replay is %+v", r)
	}
	change(t, srv, "/replays/r/speed", `{"perSecond": 10000}`, nil)
	srv.Restart(t)
	change(t, srv, "/replays/r/resume", "", nil)
	if end := until(t, srv, "/replays/r", (*replayState).over); end.State != "COMPLETED" || end.Put != 30 {
		t.Errorf("the replay ended as %+v", end)
	}
	hook.Want(t, `{"detail": {"n": 29}}`)
	change(t, srv, "/replays", `{"name": "slow", "archive": "all", "speed": {"times": 0.01}}`, nil)
	change(t, srv, "/replays/slow/cancel", "", nil)
	if end := until(t, srv, "/replays/slow", (*replayState).over); end.State != "CANCELLED" {
		t.Errorf("the replay ended as %+v", end)
	}
}

// A keptAnswer is what rialto's own API says of archives.
type keptAnswer struct {
	Events      json.RawMessage
	Next        string
	Imported    int
	Damaged     []string
	Both        int
	More, Fewer struct {
		Events   int
		Examples []json.RawMessage
	}
}

func (a *keptAnswer) list(t *testing.T) (ns []int) {
	t.Helper()
	var list []struct {
		Event struct{ Detail struct{ N int } }
	}
	if err := json.Unmarshal(a.Events, &list); err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		ns = append(ns, e.Event.Detail.N)
	}
	return ns
}

// TestLookIntoArchive: what an archive has can be asked for, counted, drawn from, carried elsewhere and held against patterns.
func TestLookIntoArchive(t *testing.T) {
	srv := rialtotest.Start(t)
	archive(t, srv, "all", `{"source": ["shop"]}`)
	put30(t, srv)
	ask := func(path string) (a keptAnswer, text string) {
		t.Helper()
		status, text := call(t, srv, http.MethodGet, path, "", nil)
		if status != http.StatusOK {
			t.Fatalf("%s answered %d %s", path, status, text)
		}
		_ = json.Unmarshal([]byte(text), &a) // an export is no such answer
		return a, text
	}
	paid := "pattern=" + url.QueryEscape(`{"detail-type": ["paid"]}`)
	first, _ := ask("/archives/all/events?limit=4&" + paid)
	second, _ := ask("/archives/all/events?limit=100&" + paid + "&after=" + first.Next)
	if got := fmt.Sprint(first.list(t), second.list(t)); got != "[1 4 7 10] [13 16 19 22 25 28]" || second.Next != "" {
		t.Errorf("two pages have %s, and then %q", got, second.Next)
	}
	if a, _ := ask("/archives/all/count?from=2026-03-01T10:00:05Z&to=2026-03-01T10:00:15Z&" + paid); string(a.Events) != "3" {
		t.Errorf("%s events are paid in ten seconds, want 3", a.Events)
	}
	if a, _ := ask("/archives/all/sample?limit=5"); len(a.list(t)) != 5 {
		t.Errorf("a sample of five has %s", a.Events)
	}
	_, lines := ask("/archives/all/export?" + paid)
	if n := strings.Count(lines, "\n"); n != 9 || !strings.HasPrefix(lines, `{"version":"0","id":"`) {
		t.Errorf("the export has %d line breaks: %s", n, lines)
	}
	archive(t, srv, "copy", `{"source": ["nobody"]}`)
	var a keptAnswer
	change(t, srv, "/archives/copy/import", lines, &a)
	if a.Imported != 10 {
		t.Errorf("%d events were imported, want 10", a.Imported)
	}
	wantCount(t, srv, "copy", 10)
	wantCount(t, srv, "all", 30)
	if _, again := ask("/archives/copy/export"); again != lines {
		t.Errorf("what was imported comes out as\n%s\nand was\n%s", again, lines)
	}
	if status, text := call(t, srv, http.MethodPost, "/archives/copy/import", lines+"\n{}", nil); status != http.StatusBadRequest || !strings.Contains(text, "Line 11") {
		t.Errorf("an import with a bad line answered %d %s", status, text)
	}
	change(t, srv, "/archives/all/compare", `{"was": "{\"detail-type\": [\"paid\"]}", "is": "{\"detail\": {\"n\": [{\"numeric\": [\"<\", 10]}]}}", "examples": 2}`, &a)
	if a.Both != 3 || a.More.Events != 7 || a.Fewer.Events != 7 || len(a.More.Examples) != 2 {
		t.Errorf("the comparison says %+v", a)
	}
}

// TestSkipDamaged flips a bit of the first of two segments. Whoever asks about the archive gets an error that names it, or the rest with what is missing.
func TestSkipDamaged(t *testing.T) {
	dir := t.TempDir()
	srv := rialtotest.Options{DataDir: dir}.Start(t)
	archive(t, srv, "all", `{"source": ["shop"]}`)
	put30(t, srv)
	_, lines := call(t, srv, http.MethodGet, "/archives/all/export", "", nil)
	change(t, srv, "/archives/all/import", strings.ReplaceAll(lines, "2026-03-01", "2026-03-02"), nil)
	files, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "rialto-blob-history", "msgs", "*.blk"))
	if err != nil || len(files) != 1 {
		t.Fatalf("the segments are in the files %q, %v", files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/4] ^= 1
	if err := os.WriteFile(files[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	srv.Restart(t)

	const count, paid = "/archives/all/count?pattern=", `{"detail-type": ["paid"]}`
	for _, q := range []struct{ method, path, body string }{
		{http.MethodGet, count + url.QueryEscape(paid), ""},
		{http.MethodGet, "/archives/all/sample?limit=100", ""},
		{http.MethodGet, "/archives/all/export?", ""},
		{http.MethodPost, "/archives/all/compare?", `{"was": "", "is": "{\"detail-type\": [\"paid\"]}"}`},
		{http.MethodPost, "/replays/dry-run?", `{"archive": "all"}`},
	} {
		if status, text := call(t, srv, q.method, q.path, q.body, nil); status != http.StatusInternalServerError || !strings.Contains(text, "of archive all is damaged, with 30 events") {
			t.Errorf("%s answered %d %s", q.path, status, text)
		}
		if status, text := call(t, srv, q.method, q.path+"&damaged=perhaps", q.body, nil); status != http.StatusBadRequest {
			t.Errorf("%s with a parameter that is wrong answered %d %s", q.path, status, text)
		}
	}
	var a keptAnswer
	skip := func(method, path, body string, answer any) string {
		t.Helper()
		a = keptAnswer{}
		status, text := call(t, srv, method, path+"damaged=skip", body, answer)
		if status != http.StatusOK || strings.Count(text, "of archive all is damaged, with 30 events from 2026-03-01T10:00:00Z to 2026-03-01T10:00:29Z") != 1 {
			t.Errorf("%s answered %d %s", path, status, text)
		}
		return text
	}
	if skip(http.MethodGet, count+url.QueryEscape(paid)+"&", "", &a); string(a.Events) != "10" || len(a.Damaged) != 1 {
		t.Errorf("of ten events %s are counted, and %q is damaged", a.Events, a.Damaged)
	}
	if skip(http.MethodGet, "/archives/all/sample?limit=100&", "", &a); len(a.list(t)) != 30 || len(a.Damaged) != 1 {
		t.Errorf("of thirty events %s are drawn, and %q is damaged", a.Events, a.Damaged)
	}
	if skip(http.MethodPost, "/archives/all/compare?", `{"was": "", "is": "{\"detail-type\": [\"paid\"]}"}`, &a); a.Both != 10 || a.Fewer.Events != 20 {
		t.Errorf("a comparison says %+v", a)
	}
	if skip(http.MethodPost, "/replays/dry-run?", `{"archive": "all"}`, &a); string(a.Events) != "30" {
		t.Errorf("a dry run has %s events", a.Events)
	}
	text := skip(http.MethodGet, "/archives/all/export?", "", nil)
	told, events, _ := strings.Cut(text, "\n")
	if !strings.HasPrefix(told, `{"damaged":"`) || strings.Count(events, `"time":"2026-03-02T`) != 30 || strings.Count(events, "\n") != 29 {
		t.Errorf("the export is\n%s", text)
	}
	change(t, srv, "/archives/all/import", strings.ReplaceAll(lines, "2026-03-01", "2026-02-01"), nil)
	resp, err := http.Get(srv.URL + "/_rialto/v1/archives/all/export")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	begun, told, _ := strings.Cut(string(body), `{"damaged":"`)
	if err == nil || strings.Count(begun, `"time":"2026-02-01T`) != 30 || !strings.Contains(told, "of archive all is damaged") {
		t.Errorf("an export that comes upon damage ends with %v after\n%s", err, body)
	}
}
