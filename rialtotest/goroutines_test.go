package rialtotest

import (
	"context"
	"strings"
	"testing"
)

// forgotten waits until it is told to end.
func forgotten(end, ended chan struct{}) {
	<-end
	close(ended)
}

func TestGoroutinesAreFoundByWhoStartedThem(t *testing.T) {
	end, ended := make(chan struct{}), make(chan struct{})
	labelled(t.Context(), "a test", func(context.Context) {
		go func() { go forgotten(end, ended) }() // at any depth
	})
	for goroutines("a test") == "" { // it has to be started first
	}
	if left := leftovers("a test of another name"); left != "" {
		t.Errorf("goroutines of others are taken for ours:\n%s", left)
	}
	if left := goroutines("a test"); !strings.Contains(left, "forgotten") {
		t.Errorf("the goroutine is not named:\n%s", left)
	}
	close(end)
	<-ended
	if left := leftovers("a test"); left != "" {
		t.Errorf("goroutines are left that have ended:\n%s", left)
	}
}
