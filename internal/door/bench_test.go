package door_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/rialto-events/rialto/internal/door"
)

// BenchmarkRequest has 64 callers send a kilobyte each and wait for the answer, from the door and from net/http behind it.
func BenchmarkRequest(b *testing.B) {
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // of a benchmark of our own
		_, _ = w.Write([]byte(`{"MessageId":"6b1f0f0e-3d52-4a4c-97aa-0e9d3b1c2f10","MD5OfMessageBody":"3858f62230ac3c915f300c664312c63f"}`))
	})
	body := strings.Repeat("x", 1000)
	for _, way := range []struct{ name, request string }{
		{"door", "POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: A.B\r\nContent-Length: 1000\r\n\r\n" + body},
		{"net-http", "POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Other: A.B\r\nContent-Length: 1000\r\n\r\n" + body},
	} {
		b.Run(way.name, func(b *testing.B) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			d, ended := door.New(answer, &http.Server{Handler: answer}, nil), make(chan error, 1)
			go func() { ended <- d.Serve(context.Background(), l) }()
			const callers = 64
			var group sync.WaitGroup
			work := make(chan struct{}, callers)
			for range callers {
				c, err := net.Dial("tcp", l.Addr().String())
				if err != nil {
					b.Fatal(err)
				}
				group.Go(func() {
					defer c.Close()
					in := make([]byte, 4096)
					for range work {
						if _, err := io.WriteString(c, way.request); err != nil {
							b.Error(err)
						}
						if n, err := c.Read(in); err != nil || !strings.HasPrefix(string(in[:n]), "HTTP/1.1 200 OK\r\n") {
							b.Errorf("the answer is %q, %v", in[:n], err)
						}
					}
				})
			}
			for b.Loop() {
				work <- struct{}{}
			}
			close(work)
			group.Wait()
			if err := d.Close(); err != nil {
				b.Error(err)
			}
			if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
				b.Error(err)
			}
		})
	}
}
