// Package wire calls a rialto over AWS's JSON protocols without an SDK, at a cost that does not show in a measurement.
//
// An SDK spends more on a call than the server does. Here a body is written once, or by hand, and the connection is kept. The
// requests are those of an SDK but for the signature, which a server on a loopback address does not look at. Start with [Client.Call].
package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// A Client calls one server. It is safe for concurrent use.
type Client struct {
	url  string
	http *http.Client
}

// New makes a client that keeps up to that many connections.
func New(url string, connections int) *Client {
	return &Client{url, &http.Client{
		Transport: &http.Transport{MaxIdleConns: connections, MaxIdleConnsPerHost: connections, IdleConnTimeout: time.Minute, DisableCompression: true},
	}}
}

// Close lets go of the connections that nobody uses.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// An Error is what the server said instead of an answer.
type Error struct {
	Status  int
	Code    string `json:"__type"`
	Message string `json:"message"`
}

func (e *Error) Error() string { return fmt.Sprintf("%d %s: %s", e.Status, e.Code, e.Message) }

// Call calls an operation, such as "AWSEvents.PutEvents". The answer is decoded into out, unless that is nil. An error of the type
// [*Error] says that the server refused; after any other it is not known what it did.
func (c *Client) Call(ctx context.Context, operation string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	answer, err := c.Post(ctx, operation, body)
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(answer, out)
}

// Post calls an operation with a body that is written already, and returns that of the answer.
func (c *Client) Post(ctx context.Context, operation string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, value := range headers(operation) {
		req.Header[name] = value
	}
	req.Header["X-Amz-Target"] = []string{operation}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		refused := &Error{Status: resp.StatusCode}
		if json.Unmarshal(answer, refused) != nil {
			refused.Message = string(answer)
		}
		return nil, refused
	}
	return answer, nil
}

var (
	eventsHeaders = map[string][]string{"Content-Type": {"application/x-amz-json-1.1"}, "Authorization": {authorization("events")}}
	sqsHeaders    = map[string][]string{"Content-Type": {"application/x-amz-json-1.0"}, "Authorization": {authorization("sqs")}}
)

func headers(operation string) map[string][]string {
	if strings.HasPrefix(operation, "AmazonSQS.") {
		return sqsHeaders
	}
	return eventsHeaders
}

func authorization(service string) string {
	return "AWS4-HMAC-SHA256 Credential=test/20260301/us-east-1/" + service + "/aws4_request, SignedHeaders=host, Signature=" + strings.Repeat("0", 64)
}
