package syntax_test

import (
	"os"
	"testing"

	"github.com/rialto-events/rialto/pattern/internal/cases"
	"github.com/rialto-events/rialto/pattern/syntax"
)

func readCases(t testing.TB) []cases.Case {
	t.Helper()
	all, err := cases.Read(os.DirFS("../testdata"))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestCases(t *testing.T) {
	for _, c := range readCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			_, err := syntax.Parse([]byte(c.Pattern))
			switch {
			case c.Invalid && err == nil:
				t.Errorf("pattern %s was accepted", c.Pattern)
			case !c.Invalid && err != nil:
				t.Errorf("pattern %s: %v", c.Pattern, err)
			case c.Message() != "" && err.Error() != c.Message():
				t.Errorf("got  %v\nwant %s", err, c.Message())
			case c.Reason != "" && err.(*syntax.Error).Reason != c.Reason && c.Columns == nil:
				t.Errorf("got reason %q, want %q", err.(*syntax.Error).Reason, c.Reason)
			}
		})
	}
}
