package scheduler

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/target"
)

// TestSeal has schedules share a definition only if they would have made the same.
func TestSeal(t *testing.T) {
	if n, m := reflect.TypeFor[Target]().NumField(), reflect.TypeFor[target.Retry]().NumField(); n != 7 || m != 3 {
		t.Fatalf("a target has %d fields and its retries %d: see whether kinship knows of the new one, and try it below", n, m)
	}
	s := &Schedules{sealed: make(map[kinship]*target.Sealed)}
	scope := rialto.Scope{Account: "111122223333", Region: "us-east-2"}
	text := func(s string) *string { return &s }
	seen := make(map[string]string) // names, by what was made
	for _, c := range []struct {
		name   string
		change func(d *Definition)
		last   bool
		like   string
	}{
		{"one", func(*Definition) {}, false, ""},
		{"with another input", func(d *Definition) { d.Name, d.Target.Input = "s2", text("other") }, false, "one"},
		{"the last", func(*Definition) {}, true, ""},
		{"of another group", func(d *Definition) { d.Group = "g" }, false, ""},
		{"to another place", func(d *Definition) { d.Target.ARN += "2" }, false, ""},
		{"for another role", func(d *Definition) { d.Target.RoleARN += "2" }, false, ""},
		{"with fewer attempts", func(d *Definition) { d.Target.Retry.MaxAttempts = 3 }, false, ""},
		{"for a shorter time", func(d *Definition) { d.Target.Retry.MaxAge = time.Minute }, false, ""},
		{"with other pauses", func(d *Definition) { d.Target.Retry.Backoff = new(target.Backoff) }, false, ""},
		{"with dead letters", func(d *Definition) { d.Target.DeadLetter = text("arn:aws:sqs:us-east-2:111122223333:dead") }, false, ""},
		{"with dead letters elsewhere", func(d *Definition) { d.Target.DeadLetter = text("arn:aws:sqs:us-east-2:111122223333:other") }, false, ""},
		{"in a message group", func(d *Definition) { d.Target.SQS = &target.SQS{MessageGroupID: "a"} }, false, ""},
		{"in another message group", func(d *Definition) { d.Target.SQS = &target.SQS{MessageGroupID: "b"} }, false, ""},
		{"with parameters", func(d *Definition) {
			d.Target.Parameters = map[string]json.RawMessage{"KinesisParameters": []byte(`{"PartitionKey":"a"}`)}
		}, false, ""},
	} {
		d := Definition{Group: "default", Name: "s1", Target: Target{ARN: "arn:aws:sqs:us-east-2:111122223333:q", RoleARN: "arn:aws:iam::111122223333:role/r", Retry: target.DefaultRetry}}
		c.change(&d)
		want, err := target.Seal(d.delivery(scope, c.last))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // made, and found again
			if got, err := s.seal(&d, scope, c.last); err != nil || !bytes.Equal(got.JSON, want.JSON) {
				t.Errorf("%s: %s, %v; want %s", c.name, got.JSON, err, want.JSON)
			}
		}
		if seen[string(want.JSON)] != c.like {
			t.Errorf("%s is like %q, want %q", c.name, seen[string(want.JSON)], c.like)
		}
		seen[string(want.JSON)] = c.name
	}
}
