package sqsapi_test

import (
	"testing"

	"github.com/rialto-events/rialto/internal/aws/awstest"
)

func TestWire(t *testing.T) {
	for _, file := range []string{"json", "fifo", "query"} {
		t.Run(file, func(t *testing.T) {
			awstest.Replay(t, start(t).handler, "testdata/"+file+".txt")
		})
	}
}
