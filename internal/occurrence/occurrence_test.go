package occurrence_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/occurrence"
)

func of(input *string) *occurrence.Occurrence {
	s := rialto.Scope{Account: "111122223333", Region: "us-east-2"}
	return &occurrence.Occurrence{
		ID: "0198c0de-0000-7000-8000-0123456789ab", Schedule: s.ARN("scheduler", "schedule/default/s1"),
		Time: time.Date(2024, 6, 13, 12, 30, 0, 0, time.UTC), Input: input,
	}
}

// The notification was recorded on AWS (spec/scheduler.md 6.2).
func TestNotification(t *testing.T) {
	const want = `{"version":"0","id":"0198c0de-0000-7000-8000-0123456789ab","detail-type":"Scheduled Event","source":"aws.scheduler",` +
		`"account":"111122223333","time":"2024-06-13T12:30:00Z","region":"us-east-2",` +
		`"resources":["arn:aws:scheduler:us-east-2:111122223333:schedule/default/s1"],"detail":"{}"}`
	if got := string(of(nil).Payload(1)); got != want {
		t.Errorf("a schedule without an input sends\n%s\nwant\n%s", got, want)
	}
}

// Keywords are replaced wherever they stand, and nothing is quoted (spec/scheduler.md 6.4).
func TestPayload(t *testing.T) {
	for _, c := range []struct{ input, want string }{
		{`no keyword`, `no keyword`},
		{``, ``},
		{`{"t":"<aws.scheduler.scheduled-time>","n":<aws.scheduler.attempt-number>}`, `{"t":"2024-06-13T12:30:00Z","n":7}`},
		{`<aws.scheduler.schedule-arn>`, `arn:aws:scheduler:us-east-2:111122223333:schedule/default/s1`},
		{`<aws.scheduler.execution-id><aws.scheduler.execution-id>`, `80000123456789ab80000123456789ab`},
		{`<aws.scheduler.unknown> <aws.scheduler.Scheduled-Time>`, `<aws.scheduler.unknown> <aws.scheduler.Scheduled-Time>`},
	} {
		if got := string(of(&c.input).Payload(7)); got != c.want {
			t.Errorf("the input %s became %s, want %s", c.input, got, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(of(nil).Event())
	input := `{"a":"<aws.scheduler.execution-id>"}`
	f.Add(of(&input).Event())
	f.Add([]byte(`{"resources":["arn:aws:scheduler:a:b:schedule/c/d"],"id":"-","input":"<aws.scheduler."}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := occurrence.Parse(b)
		if err != nil {
			return
		}
		if o.ExecutionID(); len(o.Payload(1)) == 0 && o.Input == nil {
			t.Error("there is no payload")
		}
		again, err := occurrence.Parse(o.Event())
		if err != nil {
			return // a year that RFC 3339 has no room for
		}
		if o.Time, again.Time = o.Time.UTC(), again.Time.UTC(); !reflect.DeepEqual(again, o) {
			t.Errorf("%+v became %+v", o, again)
		}
	})
}
