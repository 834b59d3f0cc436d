package lambda

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Headers of the Runtime API (Lambda developer guide, "Using the Lambda runtime API for custom runtimes").
const (
	requestIDHeader = "Lambda-Runtime-Aws-Request-Id"
	deadlineHeader  = "Lambda-Runtime-Deadline-Ms"
	arnHeader       = "Lambda-Runtime-Invoked-Function-Arn"
	xrayHeader      = "Lambda-Runtime-Trace-Id"
	errorTypeHeader = "Lambda-Runtime-Function-Error-Type" // of an error, and a trailer of a response that is streamed
)

// runtimeAPI serves the process of one instance.
func (i *instance) runtimeAPI() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", i.serveNext)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", i.serveResponse)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", i.serveError)
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", i.serveInitError)
	return mux
}

// serveNext gives the process its next invocation, as soon as there is one. Time runs from here.
func (i *instance) serveNext(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.asked = true
	if i.current != nil { // it has forgotten to answer, and whoever waits for it need not wait longer
		i.finish(result{status: http.StatusOK, failed: "Unhandled", kind: "Runtime.NoResponse"})
	}
	i.mu.Unlock()
	var in *invocation
	select {
	case in = <-i.work:
	case <-r.Context().Done():
		return
	}
	in.deadline = time.Now().Add(in.timeout)
	i.mu.Lock()
	i.current = in
	i.mu.Unlock()
	close(in.taken)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set(requestIDHeader, in.id)
	h.Set(deadlineHeader, strconv.FormatInt(in.deadline.UnixMilli(), 10))
	h.Set(arnHeader, in.arn.String())
	if in.trace != "" {
		h.Set(xrayHeader, in.trace)
	}
	h.Set("Content-Length", strconv.Itoa(len(in.payload)))
	_, _ = w.Write(in.payload) // a process that has gone shows by its end
}

// serveResponse takes the result of an invocation.
func (i *instance) serveResponse(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxResult))
	done := result{status: http.StatusOK, body: body}
	switch {
	case err != nil && len(body) < maxResult:
		return // cut off; the process has gone, or tries again
	case err != nil:
		done.failed, done.kind = "Unhandled", tooLarge
	case r.Trailer.Get(errorTypeHeader) != "":
		done.failed, done.kind = "Unhandled", r.Trailer.Get(errorTypeHeader)
	}
	if !i.answer(w, r, done) {
		return
	}
	if err != nil {
		reply(w, http.StatusRequestEntityTooLarge, map[string]string{
			"errorType": "RequestEntityTooLarge", "errorMessage": "Exceeded maximum allowed payload size (" + strconv.Itoa(maxResult) + " bytes)."})
		return
	}
	reply(w, http.StatusAccepted, map[string]string{"status": "OK"})
}

// serveError takes the error of an invocation.
func (i *instance) serveError(w http.ResponseWriter, r *http.Request) {
	if i.answer(w, r, failureOf(w, r)) {
		reply(w, http.StatusAccepted, map[string]string{"status": "OK"})
	}
}

// serveInitError takes the reason for which the process will never ask for work.
func (i *instance) serveInitError(w http.ResponseWriter, r *http.Request) {
	failed := failureOf(w, r)
	i.mu.Lock()
	i.initSaid = &failed
	i.mu.Unlock()
	reply(w, http.StatusAccepted, map[string]string{"status": "OK"})
	i.stop()
}

func failureOf(w http.ResponseWriter, r *http.Request) result {
	body, _ := io.ReadAll(http.MaxBytesReader(w, r.Body, maxResult)) // as much as there is
	return result{status: http.StatusOK, failed: "Unhandled", kind: r.Header.Get(errorTypeHeader), body: body}
}

// answer ends the invocation that the request names, and reports whether it is the one that the process has.
func (i *instance) answer(w http.ResponseWriter, r *http.Request, done result) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.current == nil || i.current.id != r.PathValue("id") {
		reply(w, http.StatusBadRequest, map[string]string{"errorType": "InvalidRequestID", "errorMessage": "Invalid request ID"})
		return false
	}
	i.finish(done)
	return true
}

// finish hands the result to whoever waits. i.mu is held.
func (i *instance) finish(done result) {
	i.current.answer <- done
	i.current = nil
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
