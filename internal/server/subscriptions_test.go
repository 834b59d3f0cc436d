package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/notification/notificationtest"
	"github.com/rialto-events/rialto/internal/server"
	remote "github.com/rialto-events/rialto/internal/targets/aws"
	"github.com/rialto-events/rialto/internal/targets/lambda"
)

// recording is a web server that hands over what it gets, and answers with a text.
func recording(t *testing.T, answer string) (url string, got <-chan []byte) {
	t.Helper()
	bodies := make(chan []byte, 10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err == nil {
			bodies <- body
		}
		fmt.Fprint(w, answer)
	}))
	t.Cleanup(s.Close)
	return s.URL, bodies
}

// TestSubscribersElsewhere has a topic tell a function that the operator has named, and a delivery stream of a remote.
func TestSubscribersElsewhere(t *testing.T) {
	function, invoked := recording(t, "{}")
	account, put := recording(t, `{"RecordId": "1"}`)
	url, _ := start(t, server.Config{
		Functions: map[string]lambda.Function{"billing": {URL: function}},
		Remotes:   []remote.Remote{{Name: "there", Accounts: []rialto.AccountID{"000000000000"}, Services: []string{"firehose"}, Endpoint: account}},
	})
	client := sns.New(sns.Options{BaseEndpoint: &url, Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})
	topic, err := client.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("news")})
	if err != nil {
		t.Fatal(err)
	}
	for protocol, endpoint := range map[string]string{
		"lambda": "arn:aws:lambda:us-east-1:000000000000:function:billing", "firehose": "arn:aws:firehose:us-east-1:000000000000:deliverystream/s",
	} {
		_, err := client.Subscribe(t.Context(), &sns.SubscribeInput{
			TopicArn: topic.TopicArn, Protocol: &protocol, Endpoint: &endpoint,
			Attributes: map[string]string{"SubscriptionRoleArn": "arn:aws:iam::000000000000:role/r"},
		})
		if err != nil {
			t.Fatalf("%s: %v", protocol, err)
		}
	}
	out, err := client.Publish(t.Context(), &sns.PublishInput{TopicArn: topic.TopicArn, Message: aws.String("hello")})
	if err != nil {
		t.Fatal(err)
	}

	var event struct {
		Records []struct {
			EventSource, EventSubscriptionArn string
			Sns                               json.RawMessage
		}
	}
	body := <-invoked
	if err := json.Unmarshal(body, &event); err != nil || len(event.Records) != 1 || event.Records[0].EventSource != "aws:sns" ||
		!strings.HasPrefix(event.Records[0].EventSubscriptionArn, *topic.TopicArn+":") {
		t.Fatalf("the function got %s", body)
	}
	envelope := strings.Replace(string(event.Records[0].Sns), `"Subject":null,`, "", 1) // what is null is not signed
	envelope = strings.Replace(envelope, "SigningCertUrl", "SigningCertURL", 1)
	if err := notificationtest.Verify([]byte(envelope), get); err != nil || !strings.Contains(envelope, *out.MessageId) {
		t.Errorf("the function cannot believe %s: %v", envelope, err)
	}

	var record struct {
		DeliveryStreamName string
		Record             struct{ Data []byte }
	}
	body = <-put
	if err := json.Unmarshal(body, &record); err != nil || record.DeliveryStreamName != "s" {
		t.Fatalf("the stream got %s", body)
	}
	if data := string(record.Record.Data); !strings.HasPrefix(data, `{"Type":"Notification","MessageId":"`+*out.MessageId+`"`) || strings.Contains(data, "Signature") {
		t.Errorf("the stream got %s", data)
	}
}

func get(url string) ([]byte, error) {
	resp, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}
