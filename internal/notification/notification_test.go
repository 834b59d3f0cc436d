package notification_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/notification"
	"github.com/rialto-events/rialto/target"
)

var topic = rialto.Scope{Account: "123456789012", Region: "us-west-2"}.ARN("sns", "MyTopic")

// full has everything that a notification can have.
func full() *notification.Notification {
	return &notification.Notification{
		Kind: notification.Published, ID: "165545c9-2a5c-472c-8df2-7ff2be2b3b1b", Topic: topic, Subject: "Test <&> \"é\"", Message: "Hello\n😀\x01",
		ByProtocol: map[target.Protocol]string{target.ProtocolSQS: "for queues", target.ProtocolHTTP: ""},
		Attributes: map[string]notification.Attribute{
			"s": {Type: "String", String: "text"}, "a": {Type: "String.Array", String: `["x",1]`}, "n": {Type: "Number.float", String: "1.50"},
			"b": {Type: "Binary.png", Binary: []byte{0, 255, 1}},
		},
		Group: "g", Dedupe: "d", Sequence: "10000000000000000001", Token: "2336412f37",
		Published: time.Date(2012, 4, 26, 20, 45, 4, 751_123_456, time.UTC),
	}
}

func TestRoundTrip(t *testing.T) {
	for name, n := range map[string]*notification.Notification{
		"everything": full(),
		"the least":  {Kind: notification.UnsubscribeConfirmation, ID: "x", Topic: topic, Published: time.Unix(0, 0).UTC()},
	} {
		b := n.Append(nil)
		got, err := notification.Parse(b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(n, got); diff != "" {
			t.Errorf("%s (-written +read):\n%s", name, diff)
		}
		if again := got.Append(nil); string(again) != string(b) {
			t.Errorf("%s is written as\n%s\nand then as\n%s", name, b, again)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, in := range []string{
		``, `null`, `{}`, `{"kind":"Notification","topic":"orders"}`, `{"kind":"Advertisement","topic":"arn:aws:sns:us-east-1:000000000000:orders"}`,
	} {
		if n, err := notification.Parse([]byte(in)); err == nil {
			t.Errorf("%q is read as %+v", in, n)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(full().Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := notification.Parse(b)
		if err != nil {
			return
		}
		again, err := notification.Parse(n.Append(nil))
		if err != nil {
			t.Fatalf("what was read from %q cannot be read again: %v", b, err)
		}
		if string(again.Append(nil)) != string(n.Append(nil)) {
			t.Errorf("%q changes on its way", b)
		}
	})
}
