package aws_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rialto-events/rialto/internal/aws"
)

// BenchmarkDecode reads PutEvents with one entry, beside encoding/json into the same structures.
func BenchmarkDecode(b *testing.B) {
	body := []byte(oneEvent)
	b.Run("aws", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var in PutEventsInput
			d := aws.NewJSONDecoder(body)
			in.Decode(d)
			if d.Err() != nil {
				b.Fatal(d.Err())
			}
			aws.Free(d)
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var in PutEventsInput
			if err := json.Unmarshal(body, &in); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// discard is a ResponseWriter that keeps nothing.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// BenchmarkHandler answers PutEvents with one entry, without a connection.
func BenchmarkHandler(b *testing.B) {
	for _, c := range []struct {
		name string
		auth aws.Authenticator
	}{{"accept-any", nil}, {"sigv4", verifier(b, signedAt)}} {
		b.Run(c.name, func(b *testing.B) {
			h := front{}.handler(aws.Options{Authenticator: c.auth})
			r := signed(b, orders, endpoint)
			w := discard{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				r.Body = io.NopCloser(strings.NewReader(oneEvent))
				h.ServeHTTP(w, r)
			}
		})
	}
}

// BenchmarkRequests counts requests over connections on this machine, of an operation that does nothing beside a bare handler of
// net/http that reads the body.
func BenchmarkRequests(b *testing.B) {
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_, _ = io.WriteString(w, `{"FailedEntryCount":0}`)
	})
	for _, c := range []struct {
		name string
		h    http.Handler
	}{{"bare", bare}, {"aws", front{}.handler(aws.Options{})}} {
		b.Run(c.name, func(b *testing.B) {
			srv := httptest.NewServer(c.h)
			defer srv.Close()
			template := signed(b, orders, endpoint)
			transport := &http.Transport{MaxIdleConnsPerHost: 64}
			defer transport.CloseIdleConnections()
			b.SetParallelism(8)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, srv.URL, strings.NewReader(oneEvent))
					if err != nil {
						b.Error(err)
						return
					}
					r.Header = template.Header
					resp, err := transport.RoundTrip(r)
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
					if resp.StatusCode != http.StatusOK {
						b.Errorf("status %d", resp.StatusCode)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
		})
	}
}
