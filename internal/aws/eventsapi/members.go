package eventsapi

import "time"

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

// moment is a member of an output for a time, or nil if there is none.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
