package console_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/rialto-events/rialto/internal/console"
)

// A deadlined is a connection with a deadline for the request, as servers have it.
type deadlined struct {
	*httptest.ResponseRecorder
	deadline time.Time
}

func (d *deadlined) SetReadDeadline(t time.Time) error {
	d.deadline = t
	return nil
}

// TestAnswersMayTakeTheirTime serves somebody who looks on for longer than a request may take to arrive: the deadline for that would end the
// context of the request.
func TestAnswersMayTakeTheirTime(t *testing.T) {
	w := &deadlined{httptest.NewRecorder(), time.Now().Add(time.Minute)}
	served := false
	console.New(console.Options{}, console.Part{{Method: "GET", Path: "/_rialto/v1/long", Serve: func(http.ResponseWriter, *console.Request) error {
		served = true
		if !w.deadline.IsZero() {
			t.Errorf("the answer has to be given until %s", w.deadline)
		}
		return nil
	}}}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/_rialto/v1/long", nil))
	if !served {
		t.Errorf("it is answered %d %s", w.Code, w.Body)
	}
}
