package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/rialto-events/rialto/internal/server"
)

// TestOAuthUnderLoad delivers a thousand events three times over, each of which may be attempted once. One call gets the token for all; a
// token that is revoked in the middle is replaced by one call, and no event is lost or dead.
func TestOAuthUnderLoad(t *testing.T) {
	const load = 1000
	var mu sync.Mutex
	issued, taken, refused := 0, 0, 0
	valid := ""
	revokeAt := 0                            // deliveries after which the token is worth nothing; 0 is never
	arrived := make(chan struct{}, 3*load+1) // once for each delivery
	mux := http.NewServeMux()
	mux.HandleFunc("/token", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		issued++
		valid = fmt.Sprint("tok-", issued)
		fmt.Fprintf(w, `{"access_token":%q,"expires_in":3600}`, valid)
	})
	mux.HandleFunc("/hook", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.Header.Get("Authorization") != "Bearer "+valid {
			refused++
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if taken++; taken == revokeAt {
			valid = "another"
		}
		arrived <- struct{}{}
	})
	partner := httptest.NewServer(mux)
	t.Cleanup(partner.Close)

	url, _ := start(t, server.Config{})
	client := events(url, "eu-west-1", "a", "b")
	newDeadLetters(t, url)
	connection, err := client.CreateConnection(t.Context(), &eventbridge.CreateConnectionInput{
		Name: aws.String("partner"), AuthorizationType: types.ConnectionAuthorizationTypeOauthClientCredentials,
		AuthParameters: &types.CreateConnectionAuthRequestParameters{OAuthParameters: &types.CreateConnectionOAuthRequestParameters{
			AuthorizationEndpoint: aws.String(partner.URL + "/token"), HttpMethod: types.ConnectionOAuthHttpMethodPost,
			ClientParameters: &types.CreateConnectionOAuthClientRequestParameters{ClientID: aws.String("me"), ClientSecret: aws.String("s3cret")},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	destination, err := client.CreateApiDestination(t.Context(), &eventbridge.CreateApiDestinationInput{
		Name: aws.String("partner"), ConnectionArn: connection.ConnectionArn, InvocationEndpoint: aws.String(partner.URL + "/hook"),
		HttpMethod: types.ApiDestinationHttpMethodPost, InvocationRateLimitPerSecond: aws.Int32(100_000),
	})
	if err != nil {
		t.Fatal(err)
	}
	deliverTo(t, client, *destination.ApiDestinationArn, "arn:aws:sqs:eu-west-1:000000000000:dead")

	for round := range 3 {
		mu.Lock()
		if round > 0 {
			revokeAt = taken + load/2
		}
		mu.Unlock()
		var puts sync.WaitGroup
		for range load / 10 {
			puts.Go(func() {
				var ten []types.PutEventsRequestEntry
				for range 10 {
					ten = append(ten, entries("default")...)
				}
				if out, err := client.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: ten}); err != nil || out.FailedEntryCount != 0 {
					t.Errorf("put: %v, %v", out, err)
				}
			})
		}
		puts.Wait()
		for range load {
			<-arrived
		}
		mu.Lock()
		if issued != round+1 || round == 0 && refused != 0 {
			t.Errorf("after round %d there were %d calls for a token, and %d deliveries were refused", round+1, issued, refused)
		}
		mu.Unlock()
	}

	queues := sqs.New(sqs.Options{BaseEndpoint: &url, Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")})
	dead, err := queues.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: aws.String(url + "/000000000000/dead"), AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameApproximateNumberOfMessages},
	})
	if err != nil || dead.Attributes["ApproximateNumberOfMessages"] != "0" {
		t.Errorf("dead letters: %v, %v", dead, err)
	}
}
