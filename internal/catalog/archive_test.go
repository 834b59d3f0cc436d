package catalog_test

import (
	"math"
	"testing"
	"time"

	"github.com/rialto-events/rialto/internal/catalog"
)

// TestRetention asks for more days than a time.Duration has room for: they must not turn into a few.
func TestRetention(t *testing.T) {
	for _, c := range []struct {
		days int32
		want time.Duration
	}{
		{0, 0},
		{1, 24 * time.Hour},
		{106_751, 106_751 * 24 * time.Hour},
		{106_752, 106_751 * 24 * time.Hour},
		{213_504, 106_751 * 24 * time.Hour}, // once it was 25 minutes
		{math.MaxInt32, 106_751 * 24 * time.Hour},
	} {
		if got := (&catalog.Archive{RetentionDays: c.days}).Retention(); got != c.want {
			t.Errorf("%d days of retention are %s, want %s", c.days, got, c.want)
		}
	}
}
