package rialtotest_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"github.com/rialto-events/rialto/rialtotest"
)

// A checkout is code under test: it announces orders on the default bus.
type checkout struct{ events *eventbridge.Client }

func ExampleStart() {
	// In a test of your own, t is its argument.
	checkoutAnnouncesOrders := func(t *testing.T) {
		srv := rialtotest.Start(t)
		hook := srv.Webhook(t)
		srv.PutRule(t, "paid", `{"source": ["shop"], "detail-type": ["paid"]}`, hook.ARN)

		_ = checkout{events: srv.Events()} // and have it sell something
		srv.PutEvents(t, `{"Source": "shop", "DetailType": "paid", "Detail": {"order": "o-17"}}`)

		hook.Want(t, `{"detail-type": "paid", "detail": {"order": "o-17"}}`)
	}
	_ = checkoutAnnouncesOrders
}

func ExampleServer_Restart() {
	ordersSurvive := func(t *testing.T) {
		srv := rialtotest.Start(t)
		q := srv.Queue(t, "billing")
		srv.PutRule(t, "paid", `{"source": ["shop"]}`, q.ARN)
		srv.PutEvents(t, `{"Source": "shop", "DetailType": "paid", "Detail": {"order": "o-17"}}`)

		srv.Restart(t)

		q.Want(t, `{"detail": {"order": "o-17"}}`)
	}
	_ = ordersSurvive
}

func ExampleWebhook_Answer() {
	aThirdPartyRecovers := func(t *testing.T) {
		srv := rialtotest.Start(t)
		hook := srv.Webhook(t)
		srv.PutRule(t, "paid", `{"source": ["shop"]}`, hook.ARN)
		hook.Answer(func(n int, _ *rialtotest.Request) int {
			if n == 1 {
				return 503 // the first attempt fails
			}
			return 200
		})
		srv.PutEvents(t, `{"Source": "shop", "DetailType": "paid", "Detail": {"order": "o-17"}}`)

		hook.Want(t, `{"detail": {"order": "o-17"}}`) // the attempt that failed
		hook.Want(t, `{"detail": {"order": "o-17"}}`) // the one a second later
	}
	_ = aThirdPartyRecovers
}
