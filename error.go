package rialto

import (
	"errors"
	"fmt"
)

// A Kind says what a caller may do about an [Error]. The table in package aws turns kinds into AWS error codes.
type Kind uint8

const (
	Internal    Kind = iota // our fault; trying again may help
	Invalid                 // the request is at fault; trying again does not help
	NotFound                // what the request names does not exist
	Exists                  // what the request wants to make is there already
	Denied                  // the caller is known and may not
	Conflict                // somebody else changed it meanwhile; read again and decide again
	Exceeded                // a limit of the account or of the resource
	Throttled               // too much at once; wait and try again
	Unavailable             // a part that is needed is not there now, such as a full disk; wait and try again
)

var kindNames = [...]string{"internal", "invalid", "not found", "exists", "denied", "conflict", "limit exceeded", "throttled", "unavailable"}

func (k Kind) String() string { return kindNames[k] }

// An Error is a failure that a caller may act on.
type Error struct {
	Kind    Kind
	Code    string // AWS's error code where the kind alone does not say it, such as "ManagedRuleException"; usually empty
	Message string // what the client may see
	Cause   error  // for the log alone; may be nil
}

func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Message + ": " + e.Cause.Error()
	}
	return e.Message
}

func (e *Error) Unwrap() error { return e.Cause }

// Errorf makes an [Error] whose message the client may see.
func Errorf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// WithCode makes an [Error] that carries an AWS error code of its own.
func WithCode(kind Kind, code, format string, args ...any) *Error {
	return &Error{Kind: kind, Code: code, Message: fmt.Sprintf(format, args...)}
}

// KindOf is the kind of err: that of the first [Error] in its chain, or [Internal].
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}
