package hostile

import (
	"io"
	"net"
	"strings"
)

// Frames of HTTP/2 (RFC 9113, section 6), as far as they are needed to misbehave.
const (
	frameHeaders      = 0x1
	frameSettings     = 0x4
	frameContinuation = 0x9
)

// frame is one frame of a stream, without flags: in particular without the one that ends a header.
func frame(kind byte, stream byte, payload string) []byte {
	n := len(payload)
	return append([]byte{byte(n >> 16), byte(n >> 8), byte(n), kind, 0, 0, 0, 0, stream}, payload...)
}

// EndlessHTTP2 answers in HTTP/2 with a header that goes on in one frame after another, forever. Its certificate must be trusted to see it.
func EndlessHTTP2() *Server {
	status := "\x88"                                            // :status 200 (RFC 7541, appendix A)
	more := strings.Repeat("\x00\x06x-more\x0aand more!!", 800) // a header that goes into no table
	return start(issue(issued{next: []string{"h2"}}), func(_ *Server, c net.Conn) {
		preface := make([]byte, len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
		if _, err := io.ReadFull(c, preface); err != nil {
			return
		}
		if _, err := c.Write(frame(frameSettings, 0, "")); err != nil {
			return
		}
		kind, block := byte(frameHeaders), status+more
		for head := make([]byte, 9); ; { // until the request has come, whatever else comes with it
			if _, err := io.ReadFull(c, head); err != nil {
				return
			}
			if _, err := io.CopyN(io.Discard, c, int64(head[0])<<16|int64(head[1])<<8|int64(head[2])); err != nil {
				return
			}
			if head[3] == frameHeaders {
				break
			}
		}
		for {
			if _, err := c.Write(frame(kind, 1, block)); err != nil {
				return
			}
			kind, block = frameContinuation, more
		}
	})
}
