package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/rialto-events/rialto/internal/console"
)

const (
	// answerWait bounds how long the answer to a request may take to begin.
	answerWait = 30 * time.Second
	// maxAnswer bounds what is read of an error.
	maxAnswer = 64 << 10
)

// native asks rialto's own API, signed as AWS's own tools would. The answer is a good one; what the server says of another is the
// error.
func (c *client) native(ctx context.Context, method string, u *url.URL, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	creds, err := c.credentials().Retrieve(ctx)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, creds, req, hex.EncodeToString(sum[:]), "events", c.region(), time.Now()); err != nil {
		return nil, fmt.Errorf("sign the request: %w", err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = answerWait
	if c.endless {
		transport.ResponseHeaderTimeout = 0
	}
	transport.DisableKeepAlives = true // one connection, one request
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < http.StatusMultipleChoices {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, refusal(resp)
}

// at is where something is below /_rialto/v1/; names in the path are escaped.
func (c *client) at(path string) (*url.URL, error) {
	u, err := c.url()
	if err != nil {
		return nil, err
	}
	for name := range strings.SplitSeq(path, "/") {
		if name == "." || name == ".." { // it would lead somewhere else
			return nil, usagef("", "%q is no name.", name)
		}
	}
	return u.JoinPath("/_rialto/v1", path), nil
}

// ask asks rialto's own API below /_rialto/v1/, with in as the body if it is not nil, and reads the answer into out.
func (c *client) ask(ctx context.Context, method, path string, query url.Values, in, out any) error {
	u, err := c.at(path)
	if err != nil {
		return err
	}
	u.RawQuery = query.Encode()
	var body []byte
	if in != nil {
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	resp, err := c.native(ctx, method, u, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("read the answer of the server: %w", err)
	}
	return nil
}

// listOf is the command that shows what there is, for those who asked for what there is not.
func listOf(u *url.URL) string {
	_, path, _ := strings.Cut(u.Path, "/v1/")
	kind, _, _ := strings.Cut(path, "/")
	return lists[kind]
}

var lists = map[string]string{
	"events": "rialto explain, which lists the latest events", "dead-letters": "rialto dead-letters list", "redrives": "rialto redrives list, or rialto dead-letters list for the queues",
	"circuits": "rialto circuit list, which shows the ARNs", "connections": "rialto connection list",
	"archives": "rialto archive list", "replays": "rialto replay list, or rialto archive list for what can be replayed",
}

// errDamaged says what of an archive is damaged.
func errDamaged(what string) error {
	return &failure{message: sentence(printable(what)), try: "the same with --skip-damaged, which leaves out that and nothing else"}
}

// refusal is what a server says that does not want to be followed. One that cannot at the moment is asked again.
func refusal(resp *http.Response) error {
	b, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // whatever came is better than nothing
	var said struct{ Message, Code string }
	if json.Unmarshal(b, &said) != nil || said.Message == "" {
		said.Message = resp.Status
	}
	if said.Code == console.Damaged {
		return errDamaged(said.Message)
	}
	if resp.StatusCode >= http.StatusInternalServerError {
		return errors.New(said.Message)
	}
	f := &failure{message: sentence("The server refused: " + printable(said.Message))}
	switch resp.StatusCode {
	case http.StatusForbidden, http.StatusUnauthorized:
		f.try = "the right AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; the access key is also the account"
	case http.StatusNotFound:
		f.try = "--endpoint with the URL of a rialto: what answers there is something else, or older"
		if resp.Header.Get("Content-Type") == "application/json" {
			f.message, f.try = sentence(printable(said.Message)), listOf(resp.Request.URL)
		}
	}
	return f
}
