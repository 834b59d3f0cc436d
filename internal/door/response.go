package door

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A response takes an answer and is written as a whole.
type response struct {
	header http.Header
	status int // 0 before it is known
	body   []byte
}

var _ http.ResponseWriter = (*response)(nil)

func (w *response) reset() {
	clear(w.header)
	w.status, w.body = 0, w.body[:0]
}

func (w *response) Header() http.Header { return w.header }

// WriteHeader sets the status. Those below 200 would come before an answer; nobody sends them here.
func (w *response) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
	}
}

func (w *response) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	w.body = append(w.body, p...)
	return len(p), nil
}

// append writes the answer. If it is the last one of its connection, it says so.
func (w *response) append(b []byte, now *date, last bool) []byte {
	w.WriteHeader(http.StatusOK)
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(w.status), 10)
	b = append(b, ' ')
	b = append(b, http.StatusText(w.status)...)
	b = append(b, "\r\n"...)
	for name, values := range w.header {
		if name == "Content-Length" {
			continue
		}
		for _, v := range values {
			b = appendField(b, name, v)
		}
	}
	if _, dated := w.header["Date"]; !dated {
		b = append(b, now.line...)
	}
	if last {
		b = append(b, "Connection: close\r\n"...)
	}
	if w.status == http.StatusNoContent || w.status == http.StatusNotModified { // which have no body
		return append(b, "\r\n"...)
	}
	if _, typed := w.header["Content-Type"]; !typed && len(w.body) > 0 {
		b = appendField(b, "Content-Type", http.DetectContentType(w.body))
	}
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, int64(len(w.body)), 10)
	b = append(b, "\r\n\r\n"...)
	return append(b, w.body...)
}

// appendField writes a field of a header. A value cannot begin another line.
func appendField(b []byte, name, value string) []byte {
	if strings.ContainsAny(value, "\r\n") {
		value = lines.Replace(value)
	}
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

var lines = strings.NewReplacer("\r", " ", "\n", " ")

// A date is the field of that name, for a second.
type date struct {
	second int64
	line   string
}

// now is the date.
func (d *Door) now() *date {
	now := time.Now()
	if known := d.date.Load(); known != nil && known.second == now.Unix() {
		return known
	}
	is := &date{now.Unix(), "Date: " + now.UTC().Format(http.TimeFormat) + "\r\n"}
	d.date.Store(is)
	return is
}
