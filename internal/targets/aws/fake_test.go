package aws_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	wire "github.com/rialto-events/rialto/internal/aws"
	remote "github.com/rialto-events/rialto/internal/targets/aws"
	"github.com/rialto-events/rialto/target/targettest"
)

const (
	accessKey = "AKIDEXAMPLE"
	secretKey = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	account   = "111122223333"
	region    = "eu-west-1"
)

// A service is how a fake reads and answers what a service gets. Resources are named after their behaviour.
type service struct {
	arn      string // with %s for the name
	target   string // X-Amz-Target of a call for one message, or nothing
	targets  string // the same for many, or nothing
	path     string // the beginning of the path
	payloads func(r *http.Request, body []byte) []string
	answer   func(payloads []string, many bool) (status int, body string)
	gone     string // code of the error for what is not there
}

// fields reads the strings that stand at a place of a JSON body: the one, or those in a list.
func fields(one, list, inList string, encoded bool) func(r *http.Request, body []byte) []string {
	return func(_ *http.Request, body []byte) []string {
		var o map[string]json.RawMessage
		_ = json.Unmarshal(body, &o)
		var texts []string
		if raw, ok := o[one]; ok {
			var nested struct{ Data string }
			var text string
			if json.Unmarshal(raw, &text) != nil && json.Unmarshal(raw, &nested) == nil {
				text = nested.Data
			}
			texts = append(texts, text)
		}
		var entries []map[string]any
		_ = json.Unmarshal(o[list], &entries)
		for _, e := range entries {
			text, _ := e[inList].(string)
			texts = append(texts, text)
		}
		if encoded {
			for i := range texts {
				b, _ := base64.StdEncoding.DecodeString(texts[i])
				texts[i] = string(b)
			}
		}
		return texts
	}
}

// details reads the payloads that stand in the details of events.
func details(r *http.Request, body []byte) []string {
	texts := fields("", "Entries", "Detail", false)(r, body)
	for i := range texts {
		var detail struct{ Payload string }
		_ = json.Unmarshal([]byte(texts[i]), &detail)
		texts[i] = detail.Payload
	}
	return texts
}

func whole(_ *http.Request, body []byte) []string { return []string{string(body)} }

func fixed(status int, body string) func([]string, bool) (int, string) {
	return func([]string, bool) (int, string) { return status, body }
}

// listed answers with a list that has a result for each record.
func listed(one, count, list string) func([]string, bool) (int, string) {
	return func(payloads []string, many bool) (int, string) {
		if !many && one != "" {
			return 200, one
		}
		failed := 0
		results := []string{}
		for _, p := range payloads {
			if targettest.Refused([]byte(p)) {
				failed++
				results = append(results, `{"ErrorCode":"ProvisionedThroughputExceededException","ErrorMessage":"Rate exceeded"}`)
			} else {
				results = append(results, `{"SequenceNumber":"1","RecordId":"1","EventId":"1"}`)
			}
		}
		return 200, fmt.Sprintf(`{"%s":%d,"%s":[%s]}`, count, failed, list, strings.Join(results, ","))
	}
}

// identified answers as SQS and SNS do, in another order than that of the messages.
func identified(payloads []string, write func(taken, failed []int) string) string {
	var taken, failed []int
	for i := len(payloads) - 1; i >= 0; i-- {
		if targettest.Refused([]byte(payloads[i])) {
			failed = append(failed, i)
		} else {
			taken = append(taken, i)
		}
	}
	return write(taken, failed)
}

func sqsAnswer(payloads []string, many bool) (int, string) {
	if !many {
		return 200, `{"MD5OfMessageBody":"x","MessageId":"1"}`
	}
	return 200, identified(payloads, func(taken, failed []int) string {
		s, f := []string{}, []string{}
		for _, i := range taken {
			s = append(s, fmt.Sprintf(`{"Id":"%d","MessageId":"1"}`, i))
		}
		for _, i := range failed {
			f = append(f, fmt.Sprintf(`{"Id":"%d","SenderFault":true,"Code":"InvalidMessageContents","Message":"no"}`, i))
		}
		return fmt.Sprintf(`{"Successful":[%s],"Failed":[%s]}`, strings.Join(s, ","), strings.Join(f, ","))
	})
}

func snsPayloads(_ *http.Request, body []byte) []string {
	form, _ := url.ParseQuery(string(body))
	if form.Get("Action") == "Publish" {
		return []string{form.Get("Message")}
	}
	var texts []string
	for i := 1; form.Has(fmt.Sprintf("PublishBatchRequestEntries.member.%d.Id", i)); i++ {
		texts = append(texts, form.Get(fmt.Sprintf("PublishBatchRequestEntries.member.%d.Message", i)))
	}
	return texts
}

func snsAnswer(payloads []string, many bool) (int, string) {
	if !many {
		return 200, `<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>1</MessageId></PublishResult></PublishResponse>`
	}
	return 200, identified(payloads, func(taken, failed []int) string {
		var b strings.Builder
		b.WriteString(`<PublishBatchResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishBatchResult><Successful>`)
		for _, i := range taken {
			fmt.Fprintf(&b, `<member><Id>%d</Id><MessageId>1</MessageId></member>`, i)
		}
		b.WriteString(`</Successful><Failed>`)
		for _, i := range failed {
			fmt.Fprintf(&b, `<member><Id>%d</Id><Code>InternalError</Code><Message>no</Message><SenderFault>false</SenderFault></member>`, i)
		}
		return b.String() + `</Failed></PublishBatchResult></PublishBatchResponse>`
	})
}

// services are those that take messages as they are. The shapes are those of the public service models.
var fakes = map[string]service{
	"sqs": {arn: "arn:aws:sqs:eu-west-1:111122223333:%s", target: "AmazonSQS.SendMessage", targets: "AmazonSQS.SendMessageBatch", path: "/",
		payloads: fields("MessageBody", "Entries", "MessageBody", false), answer: sqsAnswer, gone: "com.amazonaws.sqs#QueueDoesNotExist"},
	"sns": {arn: "arn:aws:sns:eu-west-1:111122223333:%s", path: "/", payloads: snsPayloads, answer: snsAnswer, gone: "NotFound"},
	"lambda": {arn: "arn:aws:lambda:eu-west-1:111122223333:function:%s:live", path: "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A111122223333%3Afunction%3A",
		payloads: whole, answer: fixed(202, ""), gone: "ResourceNotFoundException"},
	"kinesis": {arn: "arn:aws:kinesis:eu-west-1:111122223333:stream/%s", target: "Kinesis_20131202.PutRecord", targets: "Kinesis_20131202.PutRecords", path: "/",
		payloads: fields("Data", "Records", "Data", true), answer: listed(`{"SequenceNumber":"1","ShardId":"s"}`, "FailedRecordCount", "Records"), gone: "ResourceNotFoundException"},
	"firehose": {arn: "arn:aws:firehose:eu-west-1:111122223333:deliverystream/%s", target: "Firehose_20150804.PutRecord", targets: "Firehose_20150804.PutRecordBatch", path: "/",
		payloads: fields("Record", "Records", "Data", true), answer: listed(`{"RecordId":"1"}`, "FailedPutCount", "RequestResponses"), gone: "ResourceNotFoundException"},
	"states": {arn: "arn:aws:states:eu-west-1:111122223333:stateMachine:%s", target: "AWSStepFunctions.StartExecution", path: "/",
		payloads: fields("input", "", "", false), answer: fixed(200, `{"executionArn":"x","startDate":1}`), gone: "StateMachineDoesNotExist"},
	"logs": {arn: "arn:aws:logs:eu-west-1:111122223333:log-group:%s", target: "Logs_20140328.PutLogEvents", targets: "Logs_20140328.PutLogEvents", path: "/",
		payloads: fields("", "logEvents", "message", false), answer: fixed(200, `{"nextSequenceToken":"1"}`), gone: "InvalidParameterException"},
	"events": {arn: "arn:aws:events:eu-west-1:111122223333:event-bus/%s", target: "AWSEvents.PutEvents", targets: "AWSEvents.PutEvents", path: "/",
		payloads: details, answer: listed("", "FailedEntryCount", "Entries"), gone: "ResourceNotFoundException"},
	"execute-api": {arn: "arn:aws:execute-api:eu-west-1:111122223333:api/prod/POST/%s", path: "/prod/", payloads: whole, answer: fixed(200, "ok"), gone: "NotFoundException"},
}

// A fake is a service that checks what it gets, and behaves as the resource's name says.
type fake struct {
	t       *testing.T
	service service
	server  *httptest.Server
	keys    *wire.SigV4

	mu       sync.Mutex
	received [][]byte
}

func startFake(t *testing.T, s service) *fake {
	f := &fake{t: t, service: s, keys: wire.NewSigV4([]wire.AccessKey{{ID: accessKey, Secret: secretKey, Account: account}}, nil)}
	f.server = httptest.NewServer(f)
	t.Cleanup(f.server.Close)
	return f
}

func (f *fake) remote() remote.Remote {
	return remote.Remote{Name: "fake", Endpoint: f.server.URL, Services: append([]string(nil), "sqs", "sns", "lambda", "kinesis", "firehose", "states", "logs", "events", "execute-api"),
		Credentials: remote.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}}
}

func (f *fake) all() [][]byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([][]byte(nil), f.received...)
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the sender gave up
	}
	who, err := wire.Identify(r, f.keys, body)
	if err != nil || who.Scope.Region != region {
		f.t.Errorf("the request is not signed well: %v, %+v", err, who)
	}
	if !strings.HasPrefix(r.URL.EscapedPath(), f.service.path) {
		f.t.Errorf("the path is %s", r.URL.EscapedPath())
	}
	called := r.Header.Get("X-Amz-Target")
	many := called == f.service.targets && called != "" || strings.HasPrefix(string(body), "Action=PublishBatch&")
	if called != f.service.target && !many {
		f.t.Errorf("the operation is %q", called)
	}
	payloads := f.service.payloads(r, body)
	text := r.URL.Path + string(body)
	w.Header().Set("X-Amzn-Requestid", "req-1")
	switch {
	case strings.Contains(text, "res-hangs"):
		<-r.Context().Done()
	case strings.Contains(text, "res-endless"):
		w.WriteHeader(200)
		for zeros := make([]byte, 32<<10); r.Context().Err() == nil; {
			if _, err := w.Write(zeros); err != nil {
				return
			}
		}
	case strings.Contains(text, "res-cuts"):
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte("{"))
		panic(http.ErrAbortHandler)
	case strings.Contains(text, "res-garbage"):
		_, _ = w.Write([]byte("<html>hello</html>"))
	case strings.Contains(text, "res-down"):
		f.refuse(w, 500, "InternalFailure", "An internal error occurred.")
	case strings.Contains(text, "res-throttles"):
		f.refuse(w, 400, "ThrottlingException", "Rate exceeded")
	case strings.Contains(text, "res-expired"):
		f.refuse(w, 403, "ExpiredTokenException", "The security token included in the request is expired")
	case strings.Contains(text, "res-denies"):
		f.refuse(w, 403, "AccessDeniedException", "User is not authorized")
	case strings.Contains(text, "res-gone"):
		f.refuse(w, 400, f.service.gone, "It is not there.")
	case strings.Contains(text, "res-invalid"):
		f.refuse(w, 400, "ValidationException", "It is not valid.")
	default:
		f.mu.Lock()
		for _, p := range payloads {
			f.received = append(f.received, []byte(p))
		}
		f.mu.Unlock()
		status, answer := f.service.answer(payloads, many)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(answer))
	}
}

func (f *fake) refuse(w http.ResponseWriter, status int, code, message string) {
	if f.service.gone == "NotFound" {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(`<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type><Code>` + code +
			`</Code><Message>` + message + `</Message></Error><RequestId>req-1</RequestId></ErrorResponse>`))
		return
	}
	if strings.HasSuffix(code, "QueueDoesNotExist") {
		w.Header().Set("X-Amzn-Query-Error", "AWS.SimpleQueueService.NonExistentQueue;Sender")
	}
	if f.service.target == "" {
		w.Header().Set("X-Amzn-Errortype", code+":http://internal.amazon.com/")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"Message": message})
		return
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": code, "message": message})
}
