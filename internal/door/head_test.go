package door_test

import (
	"bufio"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rialto-events/rialto/internal/door"
)

// What is taken for a plain head is one for net/http, too, and says the same.
func FuzzHead(f *testing.F) {
	for _, text := range []string{
		plainHead + "\r\n",
		"POST /000000000000/q HTTP/1.1\r\nhost:h:1\r\nx-amz-target: A.B\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: A.B\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: A.B\r\n folded\r\nContent-Length: 2\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target : A.B\r\nContent-Length: 02\r\n\r\n",
		"POST // HTTP/1.1\r\nHost: [::1]:4566\r\nX-Amz-Target: A.B\r\nContent-Length: 2\r\n\r\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if i := strings.Index(text, "\r\n\r\n"); i >= 0 {
			text = text[:i+4]
		}
		got, ok := door.Parse(text)
		if !ok {
			return
		}
		want, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
		if err != nil {
			t.Fatalf("net/http refuses %q: %v", text, err)
		}
		if got.Method != want.Method || got.Proto != want.Proto || got.RequestURI != want.RequestURI || *got.URL != *want.URL ||
			got.Host != want.Host || got.ContentLength != want.ContentLength || got.Close != want.Close || len(want.TransferEncoding) > 0 {
			t.Errorf("%q is read as\n%+v\nand by net/http as\n%+v", text, got, want)
		}
		if !maps.EqualFunc(got.Header, want.Header, slices.Equal) {
			t.Errorf("the header of %q is read as\n%v\nand by net/http as\n%v", text, got.Header, want.Header)
		}
	})
}
