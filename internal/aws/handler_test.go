package aws_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/aws/awstest"
)

func TestExchanges(t *testing.T) {
	awstest.Replay(t, front{}.handler(aws.Options{}), "testdata/handler.txt")
	awstest.Replay(t, front{}.handler(aws.Options{}), "testdata/rest.txt")
}

// post sends a request of the JSON protocol to the handler, without a connection.
func post(h http.Handler, target, body string, more ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "http://localhost:4566/", strings.NewReader(body))
	r.Header.Set("X-Amz-Target", target)
	for _, f := range more {
		f(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const oneEvent = `{"Entries": [{"Source": "shop", "DetailType": "paid", "Detail": "{\"orderId\":\"o-17\",\"total\":42.50}"}]}`

func TestErrorsOfOperations(t *testing.T) {
	notThere := rialto.Errorf(rialto.NotFound, "It is not there.")
	cases := []struct {
		name   string
		err    error
		status int
		json   string // from the operation on rules
		sqs    string // from the operation on queues, in JSON
		query  string // header of the same
		xml    string // code and message of the same in XML
	}{
		{"kind", notThere, 400, `{"__type":"ResourceNotFoundException","message":"It is not there."}`,
			`{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"It is not there."}`,
			"AWS.SimpleQueueService.NonExistentQueue;Sender",
			"<Code>AWS.SimpleQueueService.NonExistentQueue</Code><Message>The specified queue does not exist for this wsdl version.</Message>"},
		{"wrapped", fmt.Errorf("find: %w", notThere), 400, `{"__type":"ResourceNotFoundException","message":"It is not there."}`,
			`{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"It is not there."}`,
			"AWS.SimpleQueueService.NonExistentQueue;Sender",
			"<Code>AWS.SimpleQueueService.NonExistentQueue</Code><Message>The specified queue does not exist for this wsdl version.</Message>"},
		{"code", rialto.WithCode(rialto.Invalid, "ManagedRuleException", "%s is a managed rule.", "r"), 400,
			`{"__type":"ManagedRuleException","message":"r is a managed rule."}`,
			`{"__type":"com.amazon.coral.service#ManagedRuleException","message":"r is a managed rule."}`,
			"ManagedRuleException;Sender", "<Code>ManagedRuleException</Code><Message>r is a managed rule.</Message>"},
		{"not an error for callers", errors.New("disk on fire at /var/lib"), 500, `{"__type":"InternalFailure","message":"Internal Service Failure"}`,
			`{"__type":"com.amazon.coral.service#InternalFailure","message":"Internal Service Failure"}`,
			"InternalFailure;Receiver", "<Code>InternalFailure</Code><Message>Internal Service Failure</Message>"},
		{"unavailable", rialto.Errorf(rialto.Unavailable, "Wait."), 503, `{"__type":"ServiceUnavailable","message":"Wait."}`,
			`{"__type":"com.amazon.coral.service#ServiceUnavailable","message":"Wait."}`,
			"ServiceUnavailable;Receiver", "<Code>ServiceUnavailable</Code><Message>Wait.</Message>"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h := front{
				describeRule: func(context.Context, *DescribeRuleInput) (*DescribeRuleOutput, error) {
					return nil, c.err
				},
				getQueueURL: func(context.Context, *GetQueueUrlInput) (*GetQueueUrlOutput, error) { return nil, c.err },
			}.handler(aws.Options{})

			w := post(h, "AWSEvents.DescribeRule", `{"Name":"r"}`)
			if w.Code != c.status || w.Body.String() != c.json || w.Header()["X-Amzn-Query-Error"] != nil {
				t.Errorf("events: %d %s, want %d %s", w.Code, w.Body, c.status, c.json)
			}
			w = post(h, "AmazonSQS.GetQueueUrl", `{"QueueName":"q"}`)
			if w.Code != c.status || w.Body.String() != c.sqs {
				t.Errorf("sqs: %d %s, want %d %s", w.Code, w.Body, c.status, c.sqs)
			}
			if got := w.Header().Get("X-Amzn-Query-Error"); got != c.query {
				t.Errorf("query error is %s, want %s", got, c.query)
			}
			r := httptest.NewRequest(http.MethodGet, "/?Action=GetQueueUrl&QueueName=q", nil)
			w = httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.xml) {
				t.Errorf("xml: %d %s, want %d and %s", w.Code, w.Body, c.status, c.xml)
			}
		})
	}
}

func TestPanicsEndInAnError(t *testing.T) {
	outputs := map[string]func() *PutEventsOutput{
		"operation":  func() *PutEventsOutput { panic("boom") },
		"nil output": func() *PutEventsOutput { return nil },
	}
	for name, output := range outputs {
		var log bytes.Buffer
		h := front{putEvents: func(context.Context, *PutEventsInput) (*PutEventsOutput, error) {
			return output(), nil
		}}.
			handler(aws.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		w := post(h, "AWSEvents.PutEvents", oneEvent)
		if w.Code != 500 || w.Body.String() != `{"__type":"InternalFailure","message":"Internal Service Failure"}` {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		if !strings.Contains(log.String(), "panic") || !strings.Contains(log.String(), w.Header().Get("X-Amzn-Requestid")) {
			t.Errorf("%s: the log does not tell of it: %s", name, log.String())
		}
	}
}

func TestCaller(t *testing.T) {
	const date = "20260102"
	cases := []struct {
		name          string
		authorization string
		host          string
		account       rialto.AccountID
		region        rialto.Region
	}{
		{"nothing", "", "", "000000000000", "us-east-1"},
		{"an account number as key", "AWS4-HMAC-SHA256 Credential=111122223333/" + date + "/eu-west-1/events/aws4_request, SignedHeaders=host, Signature=x", "", "111122223333", "eu-west-1"},
		{"no spaces between the fields", "AWS4-HMAC-SHA256 Credential=111122223333/" + date + "/eu-west-1/events/aws4_request,SignedHeaders=host,Signature=x", "", "111122223333", "eu-west-1"},
		{"any other key", "AWS4-HMAC-SHA256 Credential=test/" + date + "/ap-south-2/events/aws4_request, SignedHeaders=host, Signature=x", "", "000000000000", "ap-south-2"},
		{"for many regions", "AWS4-ECDSA-P256-SHA256 Credential=111122223333/" + date + "/events/aws4_request, SignedHeaders=host, Signature=x", "", "111122223333", "us-east-1"},
		{"a region that is none", "AWS4-HMAC-SHA256 Credential=test/" + date + "/EU:WEST/events/aws4_request, SignedHeaders=host, Signature=x", "", "000000000000", "us-east-1"},
		{"another scheme", "Basic dGVzdDp0ZXN0", "", "000000000000", "us-east-1"},
		{"a region in the host", "", "events.eu-central-1.localhost.localstack.cloud:4566", "000000000000", "eu-central-1"},
		{"a signature beats the host", "AWS4-HMAC-SHA256 Credential=test/" + date + "/ap-south-2/events/aws4_request, SignedHeaders=host, Signature=x", "events.eu-central-1.amazonaws.com", "000000000000", "ap-south-2"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var got aws.Request
			h := front{putEvents: func(ctx context.Context, in *PutEventsInput) (*PutEventsOutput, error) {
				got = *aws.Caller(ctx)
				return putNothing(ctx, in)
			}}.handler(aws.Options{})
			w := post(h, "AWSEvents.PutEvents", oneEvent, func(r *http.Request) {
				r.Header.Set("X-Amzn-Trace-Id", "Root=1")
				r.Header.Set("traceparent", "00-1")
				r.Header["Tracestate"] = []string{"a=1", "b=2"}
				if c.authorization != "" {
					r.Header.Set("Authorization", c.authorization)
				}
				if c.host != "" {
					r.Host = c.host
				}
			})
			host := c.host
			if host == "" {
				host = "localhost:4566"
			}
			want := aws.Request{
				ID: w.Header().Get("X-Amzn-Requestid"), Service: "events", Operation: "PutEvents",
				Scope: rialto.Scope{Account: c.account, Region: c.region}, Principal: "arn:aws:iam::" + string(c.account) + ":root",
				BaseURL: "http://" + host, Trace: "Root=1", TraceParent: "00-1", TraceState: "a=1,b=2",
			}
			if got != want {
				t.Errorf("caller is\n%+v, want\n%+v", got, want)
			}
		})
	}
}

func TestPublicURL(t *testing.T) {
	h := front{}.handler(aws.Options{PublicURL: "https://bridge.example.com/"})
	w := post(h, "AmazonSQS.GetQueueUrl", `{"QueueName":"q"}`)
	if want := `{"QueueUrl":"https://bridge.example.com/000000000000/q"}`; w.Body.String() != want {
		t.Errorf("got %s, want %s", w.Body, want)
	}
}

func TestHostileBodies(t *testing.T) {
	const deep = 100_000
	event := func(detail string) string { return `{"Entries": [{"Detail": ` + detail + `}]}` }
	cases := []struct {
		name   string
		body   string
		status int
	}{
		{"nested deeply where a string belongs", event(strings.Repeat("[", deep) + strings.Repeat("]", deep)), 400},
		{"nested deeply where nothing is known", `{"Unknown": ` + strings.Repeat(`{"a":`, deep) + "1" + strings.Repeat("}", deep) + "}", 400},
		{"nested deeply and never closed", strings.Repeat("[", deep), 400},
		{"invalid UTF-8 in a value", event("\"\xff\""), 400},
		{"invalid UTF-8 in a name", "{\"\xff\": 1}", 400},
		{"half a surrogate pair", event(`"\ud800"`), 400},
		{"a huge number where a time belongs", `{"Entries": [{"Time": 1e999}]}`, 400},
		{"a number of a million digits", `{"Entries": [{"Time": ` + strings.Repeat("9", 1_000_000) + `}]}`, 400},
		{"NUL bytes", "\x00\x00\x00", 400},
		{"a byte order mark", "\uFEFF" + oneEvent, 400},
		{"not an object", `[]`, 400},
		{"null", `null`, 400},
		{"ten thousand entries", `{"Entries": [{}` + strings.Repeat(",{}", 9_999) + `]}`, 400},
		{"two million entries", `{"Entries": [{}` + strings.Repeat(",{}", 1_999_999) + `]}`, 400},
		{"a million rules broken", `{"Entries": [` + strings.Repeat(`{"EventBusName": ""},`, 99_999) + `{}]}`, 400},
		{"a body at the limit", `{"Entries": [{}], "Unknown": "` + strings.Repeat("x", 8<<20-32) + `"}`, 200},
		{"a body beyond the limit", `{"Entries": [{}], "Unknown": "` + strings.Repeat("x", 8<<20-31) + `"}`, 413},
	}
	h := front{}.handler(aws.Options{})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := post(h, "AWSEvents.PutEvents", c.body)
			if w.Code != c.status {
				t.Errorf("status is %d, want %d", w.Code, c.status)
			}
			if !json.Valid(w.Body.Bytes()) || w.Body.Len() > 100_000 {
				t.Errorf("the answer of %d bytes is not a short JSON text: %.200s", w.Body.Len(), w.Body)
			}
		})
	}
}

// TestLargeBodyOverConnection makes sure that a client which sends too much can read why.
func TestLargeBodyOverConnection(t *testing.T) {
	srv := httptest.NewServer(front{}.handler(aws.Options{}))
	defer srv.Close()
	srv.Client().Transport.(*http.Transport).ExpectContinueTimeout = time.Minute
	for _, c := range []struct {
		name   string
		body   io.Reader
		expect string
	}{
		{"announced", strings.NewReader(strings.Repeat("x", 9<<20)), ""},
		{"announced, waiting to be asked for it", strings.NewReader(strings.Repeat("x", 9<<20)), "100-continue"},
		{"chunked", io.MultiReader(strings.NewReader(strings.Repeat("x", 9<<20))), ""},
	} {
		r, err := http.NewRequest(http.MethodPost, srv.URL, c.body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Amz-Target", "AWSEvents.PutEvents")
		if c.expect != "" {
			r.Header.Set("Expect", c.expect)
		}
		resp, err := srv.Client().Do(r)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: status is %d, want 413", c.name, resp.StatusCode)
		}
	}
}

// A pipeListener hands out the server's ends of pipes.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
func (l *pipeListener) Close() error   { close(l.closed); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// TestSlowBody makes sure that a body which never comes does not hold its connection, with or without limits of the server.
func TestSlowBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &pipeListener{make(chan net.Conn), make(chan struct{})}
		srv := &http.Server{Handler: front{}.handler(aws.Options{})}
		go srv.Serve(l)
		defer srv.Close()

		client, server := net.Pipe()
		l.conns <- server
		go io.WriteString(client, "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: AWSEvents.PutEvents\r\nContent-Length: 100\r\n\r\n{")
		start := time.Now()
		answer, err := io.ReadAll(client)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(answer, []byte("HTTP/1.1 400 ")) || !bytes.Contains(answer, []byte("SerializationException")) {
			t.Errorf("answer is %s", answer)
		}
		if took := time.Since(start); took < 10*time.Second || took > time.Minute {
			t.Errorf("it took %v", took)
		}
	})
}

func TestAccessLog(t *testing.T) {
	var log bytes.Buffer
	h := front{}.handler(aws.Options{Logger: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	line := func(target, body string) map[string]any {
		t.Helper()
		log.Reset()
		w := post(h, target, body)
		var m map[string]any
		if err := json.Unmarshal(log.Bytes(), &m); err != nil {
			t.Fatalf("not one line of JSON: %v: %s", err, log.String())
		}
		if m["request"] != w.Header().Get("X-Amzn-Requestid") {
			t.Errorf("request is %v", m["request"])
		}
		return m
	}
	good := line("AWSEvents.PutEvents", oneEvent)
	for key, want := range map[string]any{
		"level": "DEBUG", "msg": "request answered", "service": "events", "operation": "PutEvents", "protocol": "json",
		"account": "000000000000", "region": "us-east-1", "status": 200., "bytes": 22.,
	} {
		if good[key] != want {
			t.Errorf("%s is %v, want %v", key, good[key], want)
		}
	}
	bad := line("AWSEvents.PutEvents", `{}`)
	if bad["level"] != "INFO" || bad["code"] != "ValidationException" || bad["status"] != 400. || bad["err"] != nil {
		t.Errorf("a refused request is logged as %v", bad)
	}
	if strings.Contains(log.String(), "o-17") {
		t.Error("the log has the content of an event")
	}
}

func TestClientThatLeaves(t *testing.T) {
	var log bytes.Buffer
	h := front{putEvents: func(ctx context.Context, _ *PutEventsInput) (*PutEventsOutput, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}.handler(aws.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	ctx, leave := context.WithCancel(t.Context())
	leave()
	post(h, "AWSEvents.PutEvents", oneEvent, func(r *http.Request) { *r = *r.WithContext(ctx) })
	if !strings.Contains(log.String(), "level=INFO") || !strings.Contains(log.String(), "status=499") {
		t.Errorf("the log says %s", log.String())
	}
}

// TestAFullDiskDoesNotFloodTheLog fails many requests in the same second.
func TestAFullDiskDoesNotFloodTheLog(t *testing.T) {
	var log bytes.Buffer
	clock := &stepClock{now: time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)}
	h := front{putEvents: func(context.Context, *PutEventsInput) (*PutEventsOutput, error) {
		return nil, rialto.Errorf(rialto.Unavailable, "The disk of the journal is full.")
	}}.handler(aws.Options{Clock: clock, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for range 3 {
		for range 100 {
			post(h, "AWSEvents.PutEvents", oneEvent)
		}
		clock.now = clock.now.Add(time.Second)
	}
	if n := strings.Count(log.String(), "level=ERROR"); n != 3 || strings.Count(log.String(), "\n") != 3 {
		t.Errorf("three seconds of trouble leave %d lines:\n%s", n, log.String())
	}
}

// A stepClock shows the time that a test sets.
type stepClock struct {
	rialto.Clock
	now time.Time
}

func (c *stepClock) Now() time.Time { return c.now }
