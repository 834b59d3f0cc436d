package rialtotest_test

import (
	"testing"

	"github.com/rialto-events/rialto/rialtotest"
)

// TestTopic publishes on a topic with two subscribers, and lets a rule publish, too.
func TestTopic(t *testing.T) {
	t.Parallel()
	srv := rialtotest.Start(t)
	topic, a, b := srv.Topic(t, "orders"), srv.Queue(t, "a"), srv.Queue(t, "b")
	topic.Subscribe(t, a)
	topic.Subscribe(t, b)
	topic.Publish(t, "paid")
	a.Want(t, "paid")
	b.Want(t, "paid")

	srv.PutRule(t, "orders", `{"source": ["shop"]}`, topic.ARN)
	srv.PutEvents(t, `{"Source": "shop", "DetailType": "paid", "Detail": "{}"}`)
	a.Want(t, `{"source": "shop", "detail-type": "paid"}`)
	b.Want(t, `{"source": "shop", "detail-type": "paid"}`)

	srv.Restart(t)
	topic.Publish(t, "shipped")
	a.Want(t, "shipped")
	b.Want(t, "shipped")
}
