package server

import (
	"encoding/json"
	"net/http"
	"sync/atomic"

	"github.com/rialto-events/rialto/internal/journal"
)

// A health answers those who ask whether the server is well.
type health struct {
	ready   atomic.Bool
	journal journal.Journal
	clock   string // real or virtual
}

// register adds the paths that are asked: our own, and those that tools for LocalStack wait for.
func (h *health) register(mux *http.ServeMux, j journal.Journal, clock string) {
	h.journal, h.clock = j, clock
	mux.HandleFunc("GET /healthz", h.live)
	mux.HandleFunc("GET /readyz", h.readiness)
	mux.HandleFunc("GET /_localstack/health", h.localstack)
}

// live says that the process is there and answers; no more.
func (h *health) live(w http.ResponseWriter, _ *http.Request) {
	h.ok(w)
}

// ok answers that all is well. Where time stands still one must be able to see it.
func (h *health) ok(w http.ResponseWriter) {
	body := map[string]string{"status": "ok"}
	if h.clock != "real" {
		body["clock"] = h.clock
	}
	answer(w, http.StatusOK, body)
}

// readiness says whether requests would be served now.
func (h *health) readiness(w http.ResponseWriter, _ *http.Request) {
	if err := h.problem(); err != "" {
		answer(w, http.StatusServiceUnavailable, map[string]string{"status": "unavailable", "reason": err})
		return
	}
	h.ok(w)
}

func (h *health) problem() string {
	if !h.ready.Load() {
		return "the server is starting or stopping"
	}
	if err := h.journal.Health(); err != nil {
		return err.Error()
	}
	return ""
}

// localstack answers as LocalStack does, for tools that wait for it.
func (h *health) localstack(w http.ResponseWriter, _ *http.Request) {
	state := "running"
	if h.problem() != "" {
		state = "error"
	}
	answer(w, http.StatusOK, map[string]any{"services": map[string]string{"events": state, "secretsmanager": state, "sns": state, "sqs": state}, "edition": "rialto", "version": Version})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // an error of the connection is the client's to notice
}

// Version is the version of the program. The build sets it for releases.
var Version = "0.1.0-dev"
