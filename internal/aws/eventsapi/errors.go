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
