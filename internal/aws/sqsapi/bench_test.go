package sqsapi_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/internal/queue"
)

// BenchmarkSend sends messages of 500 bytes from so many callers at once, each waiting for its answer, on an embedded journal that
// syncs before it answers: to the service alone, and over HTTP.
func BenchmarkSend(b *testing.B) {
	j, err := journal.OpenEmbedded(b.Context(), b.TempDir(), journal.Options{})
	must(b, err)
	defer func() { must(b, j.Close(context.Background())) }()
	s := startOn(b, j, rialto.SystemClock)
	defer s.stop()
	s.create(b, "orders", nil)
	at := queue.Address{Scope: rialto.Scope{Account: "000000000000", Region: "eu-west-1"}, Name: "orders"}
	body := strings.Repeat("x", 500)
	transport := &http.Transport{MaxIdleConnsPerHost: 256}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	for _, way := range []struct {
		name string
		send func() error
	}{
		{"service", func() error {
			_, err := s.queues.Send(b.Context(), at, []queue.Draft{{Body: body}})
			return err
		}},
		{"http", func() error {
			req, err := http.NewRequest("POST", s.url, strings.NewReader(`{"QueueUrl":"/000000000000/orders","MessageBody":"`+body+`"}`))
			if err != nil {
				return err
			}
			req.Header.Set("X-Amz-Target", "AmazonSQS.SendMessage")
			req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=k/20260301/eu-west-1/sqs/aws4_request, SignedHeaders=host, Signature=0")
			resp, err := client.Do(req)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if text, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
				return fmt.Errorf("%s %s %v", resp.Status, text, err)
			}
			return nil
		}},
	} {
		for _, callers := range []int{1, 64, 256} {
			b.Run(fmt.Sprintf("%s/callers=%d", way.name, callers), func(b *testing.B) {
				work := make(chan struct{}, callers)
				var group sync.WaitGroup
				for range callers {
					group.Go(func() {
						for range work {
							if err := way.send(); err != nil {
								b.Error(err)
							}
						}
					})
				}
				for b.Loop() {
					work <- struct{}{}
				}
				close(work)
				group.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
			})
		}
	}
}
