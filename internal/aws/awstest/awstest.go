// Package awstest replays HTTP exchanges that are written down in a file against a handler, so that what is known of a service's
// wire is kept as text, with its source, and any other implementation could be held to it.
//
// An exchange is a heading, a request and what the response must be:
//
//	=== a rule that is not there: spec/eventbridge.md 3.1
//	> POST /
//	> X-Amz-Target: AWSEvents.DescribeRule
//	>
//	> {"Name": "paid"}
//	< 400
//	< Content-Type: application/x-amz-json-1.1
//	<
//	< {"__type":"ResourceNotFoundException","message":"Rule paid does not exist on EventBus default."}
//
// Headers of the request that are missing are filled in: Host is localhost:4566. Of the response only the headers that are listed
// are compared, but the whole body; {request-id} there stands for the id in the header. A line that starts with # is a comment.
// Start with [Replay].
package awstest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"testing"
)

// An exchange is one request and its response.
type exchange struct {
	name     string
	request  message
	response message
}

// A message is a first line, headers and a body.
type message struct {
	first  string
	header textproto.MIMEHeader
	body   string
}

// Replay runs every exchange of a file as a test of its own, each over a new connection.
func Replay(t *testing.T, h http.Handler, file string) {
	t.Helper()
	exchanges, err := read(file)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	for _, x := range exchanges {
		t.Run(x.name, func(t *testing.T) { x.run(t, srv.Listener.Addr().String()) })
	}
}

func (x *exchange) run(t *testing.T, address string) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, x.request.onWire()); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("no response: %v", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("read the response: %v", err)
	}

	id := resp.Header.Get("X-Amzn-Requestid")
	if id == "" {
		t.Error("the response has no request id")
	}
	if got := strconv.Itoa(resp.StatusCode); got != x.response.first {
		t.Errorf("status is %s, want %s", got, x.response.first)
	}
	for name := range x.response.header {
		if got, want := resp.Header.Get(name), x.response.header.Get(name); got != want {
			t.Errorf("header %s is %q, want %q", name, got, want)
		}
	}
	if got, want := strings.TrimSuffix(string(body), "\n"), strings.ReplaceAll(x.response.body, "{request-id}", id); got != want {
		t.Errorf("body is\n%s\nwant\n%s", got, want)
	}
}

// onWire is a request as it is sent.
func (m *message) onWire() string {
	header := textproto.MIMEHeader{"Host": {"localhost:4566"}, "Connection": {"close"}, "Content-Length": {strconv.Itoa(len(m.body))}}
	for name, values := range m.header {
		header[name] = values
	}
	var b strings.Builder
	b.WriteString(m.first + " HTTP/1.1\r\n")
	for name, values := range header {
		b.WriteString(name + ": " + values[0] + "\r\n")
	}
	return b.String() + "\r\n" + m.body
}

func read(file string) ([]exchange, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var list []exchange
	var request, response []string // lines of the last exchange
	finish := func() {
		if len(list) > 0 {
			list[len(list)-1].request, list[len(list)-1].response = parse(request), parse(response)
		}
		request, response = nil, nil
	}
	for n, line := range strings.Split(string(text), "\n") {
		kind, rest, _ := strings.Cut(line, " ")
		switch kind {
		case "===":
			finish()
			list = append(list, exchange{name: rest})
		case ">":
			request = append(request, rest)
		case "<":
			response = append(response, rest)
		case "":
		default:
			if kind[0] != '#' {
				return nil, fmt.Errorf("%s:%d: a line starts with ===, >, < or #", file, n+1)
			}
		}
	}
	finish()
	for _, x := range list {
		if x.request.first == "" || x.response.first == "" {
			return nil, fmt.Errorf("%s: %q has no request or no response", file, x.name)
		}
	}
	return list, nil
}

func parse(lines []string) message {
	m := message{header: textproto.MIMEHeader{}}
	for i, line := range lines {
		switch {
		case i == 0:
			m.first = line
		case line == "":
			m.body = strings.Join(lines[i+1:], "\n")
			return m
		default:
			name, value, _ := strings.Cut(line, ": ")
			m.header.Set(name, value)
		}
	}
	return m
}
