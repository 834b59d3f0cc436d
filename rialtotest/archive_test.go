package rialtotest_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/rialto-events/rialto/internal/explain"
	"github.com/rialto-events/rialto/rialtotest"
)

// TestAnArchiveCountsAtOnce puts events and asks the archive for its figures a moment later, and again after a restart. Archives of one
// bus share nothing, and one that was deleted and made anew has nothing of the one before.
func TestAnArchiveCountsAtOnce(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	events := srv.Events()
	bus := "arn:aws:events:us-east-1:000000000000:event-bus/default"
	create := func(name, pattern string) {
		t.Helper()
		_, err := events.CreateArchive(t.Context(), &eventbridge.CreateArchiveInput{
			ArchiveName: &name, EventSourceArn: &bus, EventPattern: aws.String(pattern),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	bytes := make(map[string]int64)
	want := func(name string, n int64) {
		t.Helper()
		out, err := events.DescribeArchive(t.Context(), &eventbridge.DescribeArchiveInput{ArchiveName: &name})
		if err != nil {
			t.Fatal(err)
		}
		if out.EventCount != n || (out.SizeBytes > 0) != (n > 0) {
			t.Errorf("the archive %s has %d events with %d bytes, instead of %d events", name, out.EventCount, out.SizeBytes, n)
		}
		bytes[name] = out.SizeBytes
	}
	put := func(source string, n int) {
		t.Helper()
		for i := range n {
			srv.PutEvents(t, fmt.Sprintf(`{"Source": %q, "DetailType": "ordered", "Detail": {"n": %d}}`, source, i))
		}
	}
	create("all", `{"source": [{"exists": true}]}`)
	create("shop", `{"source": ["shop"]}`)
	want("all", 0)
	put("shop", 3)
	want("shop", 3)
	put("other", 2)
	want("all", 5)
	want("shop", 3)

	before := bytes["all"]
	srv.Restart(t)
	want("all", 5)
	if bytes["all"] != before {
		t.Errorf("the archive had %d bytes before a restart and has %d after it", before, bytes["all"])
	}
	put("shop", 1)
	want("all", 6)
	want("shop", 4)

	if _, err := events.DeleteArchive(t.Context(), &eventbridge.DeleteArchiveInput{ArchiveName: aws.String("shop")}); err != nil {
		t.Fatal(err)
	}
	create("shop", `{"source": ["shop"]}`)
	want("shop", 0)
	put("shop", 1)
	want("shop", 1)
	want("all", 7)
}

// TestAnArchiveIsNoTargetThatFails explains an event that only an archive wanted.
func TestAnArchiveIsNoTargetThatFails(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	_, err := srv.Events().CreateArchive(t.Context(), &eventbridge.CreateArchiveInput{
		ArchiveName: aws.String("all"), EventSourceArn: aws.String("arn:aws:events:us-east-1:000000000000:event-bus/default"),
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := srv.Events().PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{
		Source: aws.String("shop"), DetailType: aws.String("ordered"), Detail: aws.String("{}"),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	explained(t, srv, *out.Entries[0].EventId, func(a *explain.Answer) bool { return a.State == explain.Delivered })
}
