package notification_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/rialto-events/rialto/internal/notification"
	"github.com/rialto-events/rialto/target"
)

// A recorder signs with what a case says, and keeps what it was to sign.
type recorder struct {
	signature     string
	version, text string
}

func (r *recorder) Sign(_ context.Context, version string, text []byte) ([]byte, string, error) {
	r.version, r.text = version, string(text)
	b, err := base64.StdEncoding.DecodeString(r.signature)
	return b, "/SimpleNotificationService-f3ecfb7224c7233fe7bb5f59f96de52f.pem", err
}

// TestWritten holds the files in testdata/cases, each of which is a notification as it is in the log, a subscription, and what becomes
// of it: "signed" is what the signature covers, and the others are named after the methods.
func TestWritten(t *testing.T) {
	files, err := filepath.Glob("testdata/cases/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			parts := make(map[string]string)
			for _, f := range archive.Files {
				parts[f.Name] = strings.TrimSuffix(string(f.Data), "\n")
			}
			n, err := notification.Parse([]byte(parts["notification"]))
			if err != nil {
				t.Fatal(err)
			}
			s := new(target.Subscription)
			if err := json.Unmarshal([]byte(parts["subscription"]), s); err != nil {
				t.Fatal(err)
			}
			signer := &recorder{signature: parts["signature"]}
			w := notification.Writer{URL: "https://sns.us-west-2.amazonaws.com", Signer: signer}
			for name, write := range map[string]func() ([]byte, error){
				"envelope": func() ([]byte, error) { return w.Envelope(context.Background(), n, s) },
				"event":    func() ([]byte, error) { return w.Event(t.Context(), n, s) },
				"record":   func() ([]byte, error) { return w.Record(n, s), nil },
				"signed":   func() ([]byte, error) { return []byte(strings.TrimSuffix(signed(w, signer, n, s), "\n")), nil },
			} {
				want, ok := parts[name]
				if !ok {
					continue
				}
				got, err := write()
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, string(got)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
				if name != "signed" && !json.Valid(got) {
					t.Errorf("%s is no JSON", name)
				}
			}
			if signer.text != "" && n.FIFO() {
				t.Errorf("a FIFO topic has signed %q", signer.text)
			}
			if want := defaulted(s.Signature); signer.text != "" && signer.version != want {
				t.Errorf("signed by version %q, want %q", signer.version, want)
			}
		})
	}
}

func signed(w notification.Writer, r *recorder, n *notification.Notification, s *target.Subscription) string {
	_, _ = w.Envelope(context.Background(), n, s)
	return r.text
}

type broken struct{}

func (broken) Sign(context.Context, string, []byte) ([]byte, string, error) {
	return nil, "", errors.New("no key")
}

func TestNothingUnsignedIsWritten(t *testing.T) {
	w := notification.Writer{Signer: broken{}}
	n := full()
	n.Sequence = ""
	if b, err := w.Envelope(t.Context(), n, &target.Subscription{}); err == nil {
		t.Errorf("the envelope is %s", b)
	}
	if b, err := w.Event(t.Context(), n, &target.Subscription{}); err == nil {
		t.Errorf("the event is %s", b)
	}
}

func TestMessageAttributes(t *testing.T) {
	want := map[string]target.Attribute{
		"s": {Type: "String", Value: "text"}, "a": {Type: "String.Array", Value: `["x",1]`}, "n": {Type: "Number.float", Value: "1.50"},
		"b": {Type: "Binary.png", Value: "\x00\xff\x01"},
	}
	if diff := cmp.Diff(want, full().MessageAttributes()); diff != "" {
		t.Errorf("attributes of queues (-want +got):\n%s", diff)
	}
	if got := (&notification.Notification{}).MessageAttributes(); got != nil {
		t.Errorf("no attributes are %v", got)
	}
}

func defaulted(version string) string {
	if version == "" {
		return notification.SignedSHA1
	}
	return version
}
