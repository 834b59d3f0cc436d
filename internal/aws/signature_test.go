package aws_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
)

const keyFile = `
# who may call
[orders]
aws_access_key_id     = AKIAORDERS
aws_secret_access_key = wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY=
aws_account_id        = 111122223333
region                = eu-west-1

[222233334444]
aws_access_key_id=222233334444
aws_secret_access_key=test

[guest]
aws_access_key_id = guest/with/slashes
aws_secret_access_key = s
aws_session_token = its-token
`

// frozen is a clock that stands still.
type frozen struct {
	rialto.Clock
	at time.Time
}

func (c frozen) Now() time.Time { return c.at }

var signedAt = time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)

func verifier(t testing.TB, now time.Time) *aws.SigV4 {
	keys, err := aws.ReadKeys(strings.NewReader(keyFile))
	if err != nil {
		t.Fatal(err)
	}
	return aws.NewSigV4(keys, frozen{at: now})
}

var orders = sdk.Credentials{AccessKeyID: "AKIAORDERS", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY="}

// signed is a request as AWS's own signer makes it.
func signed(t testing.TB, who sdk.Credentials, url string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, url, strings.NewReader(oneEvent))
	r.Header.Set("X-Amz-Target", "AWSEvents.PutEvents")
	r.Header.Set("X-Custom", "  two   spaces ")
	hash := sha256.Sum256([]byte(oneEvent))
	if err := v4.NewSigner().SignHTTP(t.Context(), who, r, hex.EncodeToString(hash[:]), "events", "eu-west-1", signedAt); err != nil {
		t.Fatal(err)
	}
	return r
}

const endpoint = "http://localhost:4566/"

func TestSignatures(t *testing.T) {
	good := func(t *testing.T) *http.Request { return signed(t, orders, endpoint) }
	with := func(who sdk.Credentials) func(*testing.T) *http.Request {
		return func(t *testing.T) *http.Request { return signed(t, who, endpoint) }
	}
	presigned := func(t *testing.T) *http.Request {
		r := httptest.NewRequest(http.MethodGet, endpoint+"?Action=GetQueueUrl&QueueName=a+b&X-Amz-Expires=900&Empty=", nil)
		hash := sha256.Sum256(nil)
		url, _, err := v4.NewSigner().PresignHTTP(t.Context(), orders, r, hex.EncodeToString(hash[:]), "sqs", "eu-west-1", signedAt)
		if err != nil {
			t.Fatal(err)
		}
		return httptest.NewRequest(http.MethodGet, url, nil)
	}
	const (
		unknown    = "UnrecognizedClientException"
		mismatch   = "InvalidSignatureException"
		incomplete = "IncompleteSignatureException"
		missing    = "MissingAuthenticationTokenException"
	)
	cases := []struct {
		name    string
		request func(*testing.T) *http.Request
		spoil   func(*http.Request)
		later   time.Duration // between signing and verifying
		account rialto.AccountID
		code    string // of the error, if there must be one
	}{
		{name: "good", request: good, account: "111122223333"},
		{name: "an account number as key", request: with(sdk.Credentials{AccessKeyID: "222233334444", SecretAccessKey: "test"}), account: "222233334444"},
		{name: "a session token nobody asks for", request: with(sdk.Credentials{AccessKeyID: orders.AccessKeyID, SecretAccessKey: orders.SecretAccessKey, SessionToken: "any"}), account: "111122223333"},
		{name: "a session token that must be there", request: with(sdk.Credentials{AccessKeyID: "guest/with/slashes", SecretAccessKey: "s", SessionToken: "its-token"}), account: "000000000000"},
		{name: "another session token", request: with(sdk.Credentials{AccessKeyID: "guest/with/slashes", SecretAccessKey: "s", SessionToken: "other"}), code: unknown},
		{name: "an escaped path", request: func(t *testing.T) *http.Request { return signed(t, orders, endpoint+"tags/arn%3Aaws%2Fx%20y~") }, account: "111122223333"},
		{name: "a query", request: func(t *testing.T) *http.Request { return signed(t, orders, endpoint+"?b=2&a=1%20+&a=0&a-b=%2F&c") }, account: "111122223333"},
		{name: "four minutes late", request: good, later: 4 * time.Minute, account: "111122223333"},
		{name: "six minutes late", request: good, later: 6 * time.Minute, code: mismatch},
		{name: "six minutes early", request: good, later: -6 * time.Minute, code: mismatch},

		{name: "an unknown key", request: with(sdk.Credentials{AccessKeyID: "AKIANOBODY", SecretAccessKey: "s"}), code: unknown},
		{name: "another secret", request: with(sdk.Credentials{AccessKeyID: "AKIAORDERS", SecretAccessKey: "guess"}), code: mismatch},
		{name: "another method", request: good, spoil: func(r *http.Request) { r.Method = http.MethodPut }, code: mismatch},
		{name: "another path", request: good, spoil: func(r *http.Request) { r.URL.Path = "/x" }, code: mismatch},
		{name: "another query", request: good, spoil: func(r *http.Request) { r.URL.RawQuery = "a=b" }, code: mismatch},
		{name: "another host", request: good, spoil: func(r *http.Request) { r.Host = "example.com" }, code: mismatch},
		{name: "another target", request: good, spoil: func(r *http.Request) { r.Header.Set("X-Amz-Target", "AWSEvents.DeleteRule") }, code: mismatch},
		{name: "another body", request: good, spoil: func(r *http.Request) { r.Body = http.NoBody }, code: mismatch},
		{name: "another date", request: good, spoil: func(r *http.Request) { r.Header.Set("X-Amz-Date", "20260102T150406Z") }, code: mismatch},
		{name: "a date that is none", request: good, spoil: func(r *http.Request) { r.Header.Set("X-Amz-Date", "2026") }, code: incomplete},
		{name: "another region", request: good, spoil: replace("eu-west-1", "us-east-1"), code: mismatch},
		{name: "another day in the scope", request: good, spoil: replace("20260102/", "20260103/"), code: mismatch},
		{name: "another end of the scope", request: good, spoil: replace("aws4_request", "aws4"), code: mismatch},
		{name: "a target that is not signed", request: good, spoil: replace(";x-amz-target", ""), code: mismatch},
		{name: "a host that is not signed", request: good, spoil: replace("host;", ""), code: mismatch},
		{name: "no signature in the header", request: good, spoil: replace("Signature=", "Nothing="), code: incomplete},
		{name: "another algorithm", request: good, spoil: replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), code: incomplete},
		{name: "no date", request: good, spoil: func(r *http.Request) { r.Header.Del("X-Amz-Date") }, code: incomplete},
		{name: "not signed", request: good, spoil: func(r *http.Request) { r.Header.Del("Authorization") }, code: missing},

		{name: "presigned", request: presigned, later: 14 * time.Minute, account: "111122223333"},
		{name: "presigned, too late", request: presigned, later: 16 * time.Minute, code: mismatch},
		{name: "presigned, spoiled", request: presigned, spoil: func(r *http.Request) { r.URL.RawQuery += "&x=1" }, code: mismatch},
		{name: "presigned for ever", request: presigned, spoil: func(r *http.Request) {
			r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "Expires=900", "Expires=604801", 1)
		}, code: incomplete},
		{name: "presigned without signature", request: presigned, spoil: func(r *http.Request) {
			r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "X-Amz-Signature", "x", 1)
		}, code: incomplete},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var got *aws.Request
			h := front{
				putEvents: func(ctx context.Context, in *PutEventsInput) (*PutEventsOutput, error) {
					got = aws.Caller(ctx)
					return putNothing(ctx, in)
				},
				getQueueURL: func(ctx context.Context, in *GetQueueUrlInput) (*GetQueueUrlOutput, error) {
					got = aws.Caller(ctx)
					return &GetQueueUrlOutput{}, nil
				},
			}.handler(aws.Options{Authenticator: verifier(t, signedAt.Add(c.later))})
			r := c.request(t)
			if c.spoil != nil {
				c.spoil(r)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			switch {
			case c.code != "":
				if got != nil || w.Code < 400 || w.Code >= 500 || !strings.Contains(w.Body.String(), c.code) && !strings.Contains(w.Body.String(), queryCodes[c.code]) {
					t.Errorf("got %d %s, want %s", w.Code, w.Body, c.code)
				}
			case got == nil:
				t.Errorf("refused: %d %s", w.Code, w.Body)
			case got.Scope.Account != c.account || got.Scope.Region != "eu-west-1":
				t.Errorf("the caller is %v, want account %s in eu-west-1", got.Scope, c.account)
			}
		})
	}
}

// What the query protocol calls the errors.
var queryCodes = map[string]string{
	"InvalidSignatureException":    "<Code>SignatureDoesNotMatch</Code>",
	"IncompleteSignatureException": "<Code>IncompleteSignature</Code>",
}

func replace(old, by string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, by, 1))
	}
}

// TestSDKSigns lets the whole client of AWS talk to the handler.
func TestSDKSigns(t *testing.T) {
	var who string
	keys, err := aws.ReadKeys(strings.NewReader(keyFile))
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(front{putEvents: func(ctx context.Context, in *PutEventsInput) (*PutEventsOutput, error) {
		who = aws.Caller(ctx).Principal
		return &PutEventsOutput{Entries: []PutEventsResultEntry{{EventId: new("e-" + *in.Entries[0].Source)}}}, nil
	}}.handler(aws.Options{Authenticator: aws.NewSigV4(keys, nil)}))
	defer srv.Close()
	client := func(secret string) *eventbridge.Client {
		return eventbridge.New(eventbridge.Options{
			BaseEndpoint: &srv.URL, Region: "eu-west-1", RetryMaxAttempts: 1,
			Credentials: credentials.NewStaticCredentialsProvider(orders.AccessKeyID, secret, ""),
		})
	}
	in := &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{Source: new("shop"), Time: new(time.Now())}}}

	out, err := client(orders.SecretAccessKey).PutEvents(t.Context(), in)
	if err != nil || out.FailedEntryCount != 0 || len(out.Entries) != 1 || *out.Entries[0].EventId != "e-shop" {
		t.Errorf("got %+v, %v", out, err)
	}
	if want := "arn:aws:iam::111122223333:user/orders"; who != want {
		t.Errorf("the caller is %s, want %s", who, want)
	}
	_, err = client("guess").PutEvents(t.Context(), in)
	if apiErr, ok := errors.AsType[smithy.APIError](err); !ok || apiErr.ErrorCode() != "InvalidSignatureException" {
		t.Errorf("another secret: %v", err)
	}
}

func TestKeyFiles(t *testing.T) {
	const whole = "[a]\naws_access_key_id=k\naws_secret_access_key=s\n"
	cases := []struct{ name, file, err string }{
		{"whole", whole, ""},
		{"nothing", "", "there is no access key"},
		{"no section", "aws_access_key_id=k", "line 1: expected name = value within a [section]"},
		{"section not closed", "[a", "line 1: a section is written [name]"},
		{"no secret", "[a]\naws_access_key_id=k", "section [a] needs aws_access_key_id and aws_secret_access_key"},
		{"the same key twice", whole + "[b]" + strings.TrimPrefix(whole, "[a]"), "section [b] has the access key k of an earlier section"},
		{"a slip of the pen", whole + "aws_acount_id=111122223333", "line 4: aws_acount_id is not a setting of an access key"},
		{"an account that is none", whole + "aws_account_id=1", "line 4: aws_account_id must have twelve digits"},
	}
	for _, c := range cases {
		_, err := aws.ReadKeys(strings.NewReader(c.file))
		if got := message(err); got != c.err {
			t.Errorf("%s: error is %q, want %q", c.name, got, c.err)
		}
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
