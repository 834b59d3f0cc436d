package aws_test

import (
	"testing"
	"time"

	"github.com/rialto-events/rialto/internal/aws"
)

func TestJSONOutputs(t *testing.T) {
	at := time.Date(2025, 10, 23, 15, 49, 27, 123_999_999, time.FixedZone("", 7200))
	cases := []struct {
		name string
		out  aws.Encodable
		want string
	}{
		{"the times of a bus have milliseconds", &DescribeEventBusOutput{CreationTime: &at}, `{"CreationTime":1761227367.123}`},
		{"a whole second has no fraction", &DescribeEventBusOutput{CreationTime: new(at.Truncate(time.Second))}, `{"CreationTime":1761227367}`},
		{"other times are whole seconds", &CreateArchiveOutput{CreationTime: &at}, `{"CreationTime":1761227367}`},
		{"absent members are left out, a count is not", &PutEventsOutput{}, `{"FailedEntryCount":0}`},
		{"an empty string was put there", &DescribeRuleOutput{Description: new("")}, `{"Description":""}`},
		{"an empty list too", &PutTargetsOutput{FailedEntries: []PutTargetsResultEntry{}}, `{"FailedEntryCount":0,"FailedEntries":[]}`},
		{"what is not UTF-8 is replaced", &DescribeRuleOutput{Name: new("a\xff\u2028\"\\\n")}, "{\"Name\":\"a\uFFFD\u2028\\\"\\\\\\n\"}"},
	}
	for _, c := range cases {
		if got := string(aws.JSON(c.out)); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestTimesOfRequests(t *testing.T) {
	for text, want := range map[string]time.Time{
		`1761227367`:                  time.Unix(1761227367, 0),
		`1761227367.6`:                time.UnixMilli(1761227367600), // as the JavaScript SDK sends it
		`1.761227367123E9`:            time.UnixMilli(1761227367123),
		`-1`:                          time.Unix(-1, 0),
		`0`:                           time.Unix(0, 0),
		`253402300799`:                time.Unix(253402300799, 0),
		`1761227367.1230000000000001`: time.UnixMilli(1761227367123),
	} {
		in, err := aws.ParseJSON[PutEventsRequestEntry]([]byte(`{"Time":` + text + `}`))
		if err != nil || !in.Time.Equal(want) {
			t.Errorf("%s: got %v, %v, want %v", text, in.Time, err, want)
		}
	}
	for _, text := range []string{`253402300800`, `1e300`, `"2025-10-23T15:49:27Z"`, `true`} {
		if in, err := aws.ParseJSON[PutEventsRequestEntry]([]byte(`{"Time":` + text + `}`)); err == nil {
			t.Errorf("%s was read as %v", text, in.Time)
		}
	}
}
