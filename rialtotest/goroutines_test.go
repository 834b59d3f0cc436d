package rialtotest

import (
	"context"
	"strings"
	"testing"
)

// forgotten says that it runs, and waits until it is told to end.
func forgotten(runs, end, ended chan struct{}) {
	close(runs)
	<-end
	close(ended)
}

func TestGoroutinesAreFoundByWhoStartedThem(t *testing.T) {
	runs, end, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	labelled(t.Context(), "a test", func(context.Context) {
		go func() { go forgotten(runs, end, ended) }() // at any depth
	})
	<-runs
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
