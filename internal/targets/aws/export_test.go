package aws

import (
	"net/http"
	"time"
)

// ReadAnswer reads an answer as the sender does, as one to a single message or to n of them, for every kind of resource.
func ReadAnswer(status int, header http.Header, body []byte, n int) {
	for i := range kinds {
		k := &kinds[i]
		a := &answer{status: status, header: header, body: body, now: time.Time{}}
		_ = a.shown()
		if f := a.failure(k); f != nil {
			_ = f.outcome(k)
		}
		if k.many == nil {
			continue
		}
		failures, ok := k.many.results(body, n)
		if ok && len(failures) != n {
			panic("not a result for each message")
		}
		for _, f := range failures {
			if f != nil {
				_ = f.outcome(k)
			}
		}
	}
}
