package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

const (
	deadLetters = "undelivered"     // the queue for what the CRM will never take
	circuits    = "circuits"        // the queue for what the default bus tells of circuits
	apiKey      = "demo-0f8fad5bd9" // that the webhooks ask for; no secret
	keyHeader   = "X-Api-Key"
	maxBody     = 1 << 20 // bytes of a request to a webhook
	pollWait    = 5       // seconds of one long poll
)

// webhooks are the services of other teams and companies: one listener on loopback with a path for each.
type webhooks struct {
	http.Server
	url  string
	show *show
	down atomic.Bool // the CRM is
}

// startWebhooks listens on a free port. Calls are answered until Close.
func startWebhooks(ctx context.Context, s *show) (*webhooks, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	h := &webhooks{url: "http://" + l.Addr().String(), show: s}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /risk", h.answer(ctx, toRisk, func(string) (int, string) { return http.StatusOK, "" }))
	mux.HandleFunc("POST /crm", h.answer(ctx, toCRM, h.crm))
	h.Handler, h.ReadHeaderTimeout = mux, 5*time.Second
	go func() { _ = h.Serve(l) }() // ends with Close
	return h, nil
}

// crm is the service that has a bad day.
func (h *webhooks) crm(body string) (status int, why string) {
	var customer struct{ Email string }
	switch {
	case h.down.Load():
		return http.StatusServiceUnavailable, "the CRM is down"
	case json.Unmarshal([]byte(body), &customer) != nil || !strings.Contains(customer.Email, "@"):
		return http.StatusUnprocessableEntity, fmt.Sprintf("%q is no e-mail address", customer.Email)
	}
	return http.StatusOK, ""
}

// answer makes a handler that tells the show what was received and how it was answered.
func (h *webhooks) answer(ctx context.Context, name string, decide func(body string) (int, string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			return
		}
		body, now := string(b), time.Now()
		status, why := http.StatusUnauthorized, "the API key is missing"
		if r.Header.Get(keyHeader) == apiKey {
			status, why = decide(body)
		}
		if status == http.StatusOK {
			h.show.tell(ctx, func(s *show) { s.arrived(refOf(body), name, body, now) })
			return
		}
		again := status != http.StatusUnprocessableEntity // as AWS sees it
		h.show.tell(ctx, func(s *show) { s.turnedDown(refOf(body), name, fmt.Sprintf("%d %s", status, why), again) })
		http.Error(w, why, status)
	}
}

// refOf finds which event a target has received part of.
func refOf(body string) string {
	type metadata struct{ ID string }
	var b struct {
		Ref      string
		Metadata metadata
		Detail   struct{ Metadata metadata }
	}
	_ = json.Unmarshal([]byte(body), &b) // what cannot be read is a stray
	for _, id := range []string{b.Ref, b.Metadata.ID, b.Detail.Metadata.ID} {
		if id != "" {
			return id
		}
	}
	return ""
}

// A stage is the engine as the demo has set it up, through the API that everybody uses.
type stage struct {
	events *eventbridge.Client
	sqs    *sqs.Client
	queues map[string]string // URLs by receiver
	arns   map[string]string // by receiver, and of buses by "bus NAME"
}

// build makes buses, queues, destinations and rules.
func (st *stage) build(ctx context.Context, hooks string) error {
	st.queues, st.arns = map[string]string{}, map[string]string{}
	for _, step := range []func(context.Context) error{
		st.buildBuses, st.buildQueues, func(ctx context.Context) error { return st.buildDestinations(ctx, hooks) }, st.buildRules,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (st *stage) buildBuses(ctx context.Context) error {
	for _, name := range []string{shopBus, partnerBus} {
		out, err := st.events.CreateEventBus(ctx, &eventbridge.CreateEventBusInput{Name: &name})
		if err != nil {
			return err
		}
		st.arns["bus "+name] = aws.ToString(out.EventBusArn)
	}
	return nil
}

func (st *stage) buildQueues(ctx context.Context) error {
	for _, name := range []string{toBilling, toCare, toPartners, deadLetters, circuits} {
		out, err := st.sqs.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String(strings.TrimPrefix(name, "queue "))})
		if err != nil {
			return err
		}
		got, err := st.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
			QueueUrl: out.QueueUrl, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameQueueArn},
		})
		if err != nil {
			return err
		}
		st.queues[name] = aws.ToString(out.QueueUrl)
		st.arns[name] = got.Attributes[string(sqstypes.QueueAttributeNameQueueArn)]
	}
	return nil
}

func (st *stage) buildDestinations(ctx context.Context, hooks string) error {
	connection, err := st.events.CreateConnection(ctx, &eventbridge.CreateConnectionInput{
		Name: aws.String("webhooks"), AuthorizationType: eventtypes.ConnectionAuthorizationTypeApiKey,
		AuthParameters: &eventtypes.CreateConnectionAuthRequestParameters{
			ApiKeyAuthParameters: &eventtypes.CreateConnectionApiKeyAuthRequestParameters{ApiKeyName: aws.String(keyHeader), ApiKeyValue: aws.String(apiKey)},
		},
	})
	if err != nil {
		return err
	}
	for _, name := range []string{toRisk, toCRM} {
		short := strings.TrimPrefix(name, "webhook ")
		out, err := st.events.CreateApiDestination(ctx, &eventbridge.CreateApiDestinationInput{
			Name: &short, ConnectionArn: connection.ConnectionArn, HttpMethod: eventtypes.ApiDestinationHttpMethodPost,
			InvocationEndpoint: aws.String(hooks + "/" + short),
		})
		if err != nil {
			return err
		}
		st.arns[name] = aws.ToString(out.ApiDestinationArn)
	}
	return nil
}

func (st *stage) buildRules(ctx context.Context) error {
	for _, r := range append(slices.Clone(demoRules), circuitsRule) {
		in := &eventbridge.PutRuleInput{Name: &r.name, EventBusName: &r.bus, EventPattern: &r.pattern}
		if r.breaker != "" {
			in.Tags = []eventtypes.Tag{{Key: aws.String("rialto:breaker"), Value: &r.breaker}}
		}
		_, err := st.events.PutRule(ctx, in)
		if err != nil {
			return err
		}
		out, err := st.events.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: &r.name, EventBusName: &r.bus, Targets: []eventtypes.Target{st.target(r)}})
		if err != nil {
			return err
		}
		for _, f := range out.FailedEntries {
			return fmt.Errorf("target of rule %s: %s: %s", r.name, aws.ToString(f.ErrorCode), aws.ToString(f.ErrorMessage))
		}
	}
	return nil
}

func (st *stage) target(r demoRule) eventtypes.Target {
	t := eventtypes.Target{Id: aws.String("target"), Arn: aws.String(st.arns[r.to]), InputPath: optional(r.inputPath)}
	if r.template != "" {
		t.InputTransformer = &eventtypes.InputTransformer{InputTemplate: &r.template, InputPathsMap: r.paths}
	}
	if !strings.HasPrefix(r.to, "queue ") && r.to != circuits {
		t.RoleArn = aws.String("arn:aws:iam::000000000000:role/demo") // AWS asks for one; rialto takes any
	}
	if r.to == toCRM {
		t.DeadLetterConfig = &eventtypes.DeadLetterConfig{Arn: aws.String(st.arns[deadLetters])}
	}
	return t
}

// consume receives from a queue, tells what it got, and deletes it, until ctx ends.
func (st *stage) consume(ctx context.Context, queue string, got func(m sqstypes.Message)) error {
	url := aws.String(st.queues[queue])
	for {
		out, err := st.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: url, MaxNumberOfMessages: 10, WaitTimeSeconds: pollWait, MessageAttributeNames: []string{"All"},
		})
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("receive from %s: %w", queue, err)
		}
		if len(out.Messages) == 0 {
			continue
		}
		done := &sqs.DeleteMessageBatchInput{QueueUrl: url}
		for _, m := range out.Messages {
			got(m)
			done.Entries = append(done.Entries, sqstypes.DeleteMessageBatchRequestEntry{Id: m.MessageId, ReceiptHandle: m.ReceiptHandle})
		}
		if _, err := st.sqs.DeleteMessageBatch(ctx, done); err != nil && ctx.Err() == nil {
			return fmt.Errorf("delete from %s: %w", queue, err)
		}
	}
}

// circuitOf is what a message says of a circuit, for people.
func circuitOf(m sqstypes.Message) string {
	var event struct {
		DetailType string `json:"detail-type"`
	}
	_ = json.Unmarshal([]byte(aws.ToString(m.Body)), &event) // what cannot be read says nothing below
	switch event.DetailType {
	case "Destination Circuit Opened":
		return "the circuit of the CRM opens: its events are kept, and it is left alone"
	case "Destination Circuit Half-Opened":
		return "the circuit is half-open: single events find out whether the CRM is back"
	case "Destination Circuit Closed":
		return "the circuit closes: what was kept is delivered, at a pace that grows"
	}
	return ""
}

// codeOf is why a message is in a dead-letter queue.
func codeOf(m sqstypes.Message) string {
	if a, ok := m.MessageAttributes["ERROR_CODE"]; ok {
		return aws.ToString(a.StringValue)
	}
	return "no ERROR_CODE"
}
