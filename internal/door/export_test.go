package door

import (
	"net/http"
	"time"
)

// Watch lets clients be watched from the first moment on. It is called before Serve.
func (d *Door) Watch() { d.patience = time.Nanosecond }

// Parse reads the head of a plain request.
func Parse(text string) (*http.Request, bool) {
	var h head
	if !h.parse(text) {
		return nil, false
	}
	r := &http.Request{Method: http.MethodPost, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	h.fill(r)
	return r, true
}
