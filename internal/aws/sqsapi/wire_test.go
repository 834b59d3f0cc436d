package sqsapi_test

import (
	"testing"

	"github.com/rialto-events/rialto/internal/aws/awstest"
)

func TestWire(t *testing.T) {
	for _, protocol := range []string{"json", "query"} {
		t.Run(protocol, func(t *testing.T) {
			awstest.Replay(t, start(t).handler, "testdata/"+protocol+".txt")
		})
	}
}
