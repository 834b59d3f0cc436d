package eventsapi

import "github.com/rialto-events/rialto"

// The errors that come up everywhere. Their codes are those that package aws has for the kinds.

func invalid(format string, args ...any) error { return rialto.Errorf(rialto.Invalid, format, args...) }
func notFound(format string, args ...any) error {
	return rialto.Errorf(rialto.NotFound, format, args...)
}
func exists(format string, args ...any) error { return rialto.Errorf(rialto.Exists, format, args...) }

func errBadARN(arn string) error {
	return invalid("Parameter %s is not valid. Reason: Provided Arn is not in correct format.", arn)
}

// deref is the value of a member, or the zero value if it is absent.
func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// text is a member of an output for a string that is empty if there is nothing to show.
func text[S ~string](s S) *string {
	if s == "" {
		return nil
	}
	return new(string(s))
}
