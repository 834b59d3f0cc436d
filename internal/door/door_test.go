package door_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/rialto-events/rialto/internal/door"
)

// A house is a door that is served.
type house struct {
	*door.Door
	address string
	ended   chan error // what Serve returned
}

// start serves with handlers for the one and the other kind of requests.
func start(t *testing.T, plain, rest http.HandlerFunc, set ...func(*door.Door)) *house {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &house{door.New(plain, &http.Server{Handler: rest}, nil), l.Addr().String(), make(chan error, 1)}
	for _, f := range set {
		f(h.Door)
	}
	go func() { h.ended <- h.Serve(context.Background(), l) }()
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		if err := <-h.ended; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve returned %v", err)
		}
	})
	return h
}

// echo answers with who answers, and what was sent.
func echo(who string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(iotest.OneByteReader(r.Body))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "text/x-test")
		w.Header().Set("X-Said", "two\r\nlines")
		fmt.Fprintf(w, "%s %s %s %s %s %d %q %s", who, r.Method, r.URL, r.Host, r.Header.Get("x-amz-target"), r.ContentLength, r.Header["Authorization"], b)
	}
}

// A client is a connection.
type client struct {
	net.Conn
	in *bufio.Reader
}

func (h *house) dial(t *testing.T) *client {
	t.Helper()
	c, err := net.Dial("tcp", h.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &client{c, bufio.NewReader(c)}
}

// answer reads the next answer.
func (c *client) answer(t *testing.T) (*http.Response, string) {
	t.Helper()
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

func (c *client) send(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

const plainHead = "POST / HTTP/1.1\r\nHost: h:1\r\nX-Amz-Target: A.B\r\nContent-Length: 2\r\n"

// Who answers, and that it is answered in any case.
func TestWhoAnswers(t *testing.T) {
	h := start(t, echo("door"), echo("net/http"))
	big := strings.Repeat("x", 300<<10)
	for _, c := range []struct {
		name    string
		request string
		want    string // the beginning of the body
	}{
		{"plain", plainHead + "\r\nhi", `door POST / h:1 A.B 2 [] hi`},
		{"with a path", strings.Replace(plainHead, "/", "/000000000000/q-1.fifo", 1) + "\r\nhi", `door POST /000000000000/q-1.fifo h:1 A.B 2 [] hi`},
		{"names in lower case", "POST / HTTP/1.1\r\nhost:h\r\nx-amz-target:A.B\r\ncontent-length:0\r\nauthorization:  a, b=c \r\nconnection: keep-alive\r\n\r\n", `door POST / h A.B 0 ["a, b=c"] `},
		{"without a target", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi", `net/http POST / h  2 [] hi`},
		{"another method", "PUT / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: A.B\r\nContent-Length: 2\r\n\r\nhi", `net/http PUT / h A.B 2 [] hi`},
		{"a query", strings.Replace(plainHead, "/", "/?a=b", 1) + "\r\nhi", `net/http POST /?a=b h:1 A.B 2 [] hi`},
		{"an escape", strings.Replace(plainHead, "/", "/%41", 1) + "\r\nhi", `net/http POST /%41 h:1 A.B 2 [] hi`},
		{"chunks", "POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: A.B\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", `net/http POST / h A.B -1 [] hi`},
		{"the older version", "POST / HTTP/1.0\r\nHost: h\r\nX-Amz-Target: A.B\r\nContent-Length: 2\r\n\r\nhi", `net/http POST / h A.B 2 [] hi`},
		{"the last one", plainHead + "Connection: close\r\n\r\nhi", `net/http POST / h:1 A.B 2 [] hi`},
		{"a header that comes twice", plainHead + "Authorization: a\r\nAuthorization: b\r\n\r\nhi", `net/http POST / h:1 A.B 2 ["a" "b"] hi`},
		{"letters of the world", plainHead + "Authorization: ä\r\n\r\nhi", `net/http POST / h:1 A.B 2 ["ä"] hi`},
		{"a large body", "POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: A.B\r\nContent-Length: 307200\r\n\r\n" + big, `net/http POST / h A.B 307200 [] ` + big},
		{"a body of some size", "POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: A.B\r\nContent-Length: 204800\r\n\r\n" + big[:200<<10], `door POST / h A.B 204800 [] ` + big[:200<<10]},
		{"two lengths", plainHead + "Content-Length: 3\r\n\r\nhi", "400 Bad Request"},
		{"a length that is none", "POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: A.B\r\nContent-Length: +2\r\n\r\nhi", "400 Bad Request"},
		{"no host", "POST / HTTP/1.1\r\nX-Amz-Target: A.B\r\nContent-Length: 2\r\n\r\nhi", "400 Bad Request"},
		{"a line that is none", plainHead + "what\r\n\r\nhi", "400 Bad Request"},
		{"no HTTP", "what\r\n\r\n", "400 Bad Request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := h.dial(t)
			conn.send(t, c.request)
			resp, body := conn.answer(t)
			if !strings.HasPrefix(body, c.want) {
				t.Errorf("the answer is %.200s, want %.200s", body, c.want)
			}
			if resp.StatusCode == http.StatusOK && (resp.Header.Get("Date") == "" || resp.Header.Get("X-Said") != "two  lines" ||
				resp.Header.Get("Content-Type") != "text/x-test" || strings.HasPrefix(body, "door") && resp.ContentLength != int64(len(body))) {
				t.Errorf("the header is %v", resp.Header)
			}
		})
	}
}

// Who has left the door once does not come back to it, and nothing is lost on the way.
func TestConnectionKept(t *testing.T) {
	h := start(t, echo("door"), echo("net/http"))
	c := h.dial(t)
	for _, step := range []struct{ write, want string }{
		{plainHead + "\r\nhi", "door"},
		{plainHead + "\r\nhi" + plainHead + "\r\nyo", "door"}, // two at once
		{"", "door"},
		{plainHead + "\r\nhi" + "GET / HTTP/1.1\r\nHost: h\r\n\r\n" + plainHead + "\r\nyo", "door"},
		{"", "net/http"},
		{"", "net/http"},
		{plainHead + "\r\nhi", "net/http"},
	} {
		c.send(t, step.write)
		if _, body := c.answer(t); !strings.HasPrefix(body, step.want+" ") {
			t.Fatalf("after %q the answer is %q, want one of %s", step.write, body, step.want)
		}
	}
}

// A body may come after its head, as Python sends it.
func TestBodyLater(t *testing.T) {
	h := start(t, echo("door"), echo("net/http"))
	c := h.dial(t)
	c.send(t, plainHead+"\r\n")
	c.send(t, "h")
	c.send(t, "i")
	if _, body := c.answer(t); body != `door POST / h:1 A.B 2 [] hi` {
		t.Errorf("the answer is %q", body)
	}
	for i := range len(plainHead) { // a head in pieces is not for us, unless they come together
		c.send(t, plainHead[i:i+1])
	}
	c.send(t, "\r\nhi")
	if _, body := c.answer(t); !strings.HasSuffix(body, ` POST / h:1 A.B 2 [] hi`) {
		t.Errorf("the answer is %q", body)
	}
}

// A body that does not come is net/http's to complain of.
func TestBodyMissing(t *testing.T) {
	h := start(t, echo("door"), echo("net/http"))
	c := h.dial(t)
	c.send(t, plainHead+"\r\nh")
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if resp, body := c.answer(t); resp.StatusCode != http.StatusBadRequest || !strings.Contains(body, "unexpected EOF") {
		t.Errorf("the answer is %s %s", resp.Status, body)
	}
}

// A request whose client goes away is told so.
func TestClientGone(t *testing.T) {
	began, gone := make(chan struct{}), make(chan struct{})
	h := start(t, func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
		close(gone)
	}, echo("net/http"))
	c := h.dial(t)
	c.send(t, plainHead+"\r\nhi")
	<-began
	c.Close()
	<-gone
}

// Looking for a client that goes away takes nothing of what it sends next.
func TestWatched(t *testing.T) {
	seen := make(chan struct{})
	h := start(t, func(w http.ResponseWriter, r *http.Request) {
		<-seen
		echo("door")(w, r)
	}, echo("net/http"), (*door.Door).Watch)
	c := h.dial(t)
	for range 200 {
		c.send(t, plainHead+"\r\nhi")
		c.send(t, plainHead+"\r\nyo")
		seen <- struct{}{}
		_, first := c.answer(t)
		seen <- struct{}{}
		_, second := c.answer(t)
		if !strings.HasPrefix(first, "door") || !strings.HasSuffix(first, "hi") || !strings.HasPrefix(second, "door") || !strings.HasSuffix(second, "yo") {
			t.Fatalf("the answers are %q and %q", first, second)
		}
	}
}

// Shutdown waits for requests that are being answered, tells their clients that these are the last ones, and for nobody else.
func TestShutdown(t *testing.T) {
	began, goOn := make(chan struct{}, 2), make(chan struct{})
	slow := func(who string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			began <- struct{}{}
			<-goOn
			echo(who)(w, r)
		}
	}
	h := start(t, slow("door"), slow("net/http"))
	idle, busy, other := h.dial(t), h.dial(t), h.dial(t)
	busy.send(t, plainHead+"\r\nhi")
	other.send(t, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	<-began
	<-began
	done := make(chan error, 1)
	go func() { done <- h.Shutdown(t.Context()) }()
	if _, err := idle.in.ReadByte(); err != io.EOF {
		t.Errorf("an idle connection ends with %v", err)
	}
	select {
	case err := <-done:
		t.Fatalf("Shutdown returned %v before requests were answered", err)
	default:
	}
	close(goOn)
	if resp, body := busy.answer(t); !resp.Close || !strings.HasPrefix(body, "door") {
		t.Errorf("the last answer is %v %s", resp.Header, body)
	}
	if _, body := other.answer(t); !strings.HasPrefix(body, "net/http") {
		t.Errorf("the last answer of net/http is %s", body)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", h.address); err == nil {
		c.Close()
		t.Error("a connection was accepted after Shutdown")
	}
}

// A handler that panics ends its connection and nothing else.
func TestPanic(t *testing.T) {
	h := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/bad" {
			panic("on purpose")
		}
		echo("door")(w, r)
	}, echo("net/http"))
	good, bad := h.dial(t), h.dial(t)
	bad.send(t, strings.Replace(plainHead, "/", "/bad", 1)+"\r\nhi")
	if _, err := bad.in.ReadByte(); err != io.EOF {
		t.Errorf("the connection ends with %v", err)
	}
	good.send(t, plainHead+"\r\nhi")
	if _, body := good.answer(t); !strings.HasPrefix(body, "door") {
		t.Errorf("the answer is %s", body)
	}
}
