package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/aws/smithy-go"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/pattern/syntax"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitInterrupted = 130 // as shells count a process that SIGINT ended
)

// A usageError is a command line, or a file of settings, that makes no sense.
type usageError struct {
	message string
	try     string
}

func (e *usageError) Error() string { return e.message }

func usagef(try, format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...), try}
}

// A failure is an error about which the command that had it knows more than its text says.
type failure struct {
	message string
	try     string
	cause   error // may be nil
}

func (e *failure) Error() string {
	if e.cause == nil {
		return e.message
	}
	return e.message + ": " + e.cause.Error()
}

func (e *failure) Unwrap() error { return e.cause }

func exitCode(err error) int {
	if _, ok := errors.AsType[*usageError](err); ok {
		return exitUsage
	}
	if errors.Is(err, context.Canceled) {
		return exitInterrupted
	}
	return exitFailure
}

// complain writes what happened and what to do next.
func complain(w io.Writer, err error) {
	what, try := hint(err)
	fmt.Fprintf(w, "rialto: %s\n", what)
	if try != "" {
		fmt.Fprintf(w, "Try: %s\n", try)
	}
}

// hint puts an error into a sentence, and what to do about it into another.
func hint(err error) (what, try string) {
	if e, ok := errors.AsType[*usageError](err); ok {
		return e.message, e.try
	}
	if e, ok := errors.AsType[*failure](err); ok {
		return e.message, e.try
	}
	if errors.Is(err, context.Canceled) {
		return "Interrupted before the end.", ""
	}
	for _, known := range []func(error) (string, string, bool){
		aboutDamage, aboutLock, aboutRoom, aboutAddress, aboutPattern, aboutConnection, aboutAnswer, aboutFile,
	} {
		if what, try, ok := known(err); ok {
			return what, try
		}
	}
	if e, ok := errors.AsType[*rialto.Error](err); ok && e.Kind != rialto.Internal {
		return sentence(e.Error()), ""
	}
	return sentence(err.Error()), "once more, a server with --log-level debug; if it should have worked, please report it with what was said"
}

// aboutDamage knows data that is not what was acknowledged. Nothing was changed by finding it.
func aboutDamage(err error) (what, try string, ok bool) {
	e, ok := errors.AsType[*journal.DamageError](err)
	if !ok {
		return "", "", false
	}
	where := e.Log
	switch {
	case e.First == e.Last && e.Last > 0:
		where += fmt.Sprintf(", record %d", e.First)
	case e.Last > 0:
		where += fmt.Sprintf(", records %d to %d", e.First, e.Last)
	}
	what = fmt.Sprintf("The stored data is damaged in %s: %s. It was refused rather than served, and left as it is.", where, e.Reason)
	return what, "put back a copy of the whole data directory that was made while rialto was stopped; or move the directory away to start " +
		"with an empty one, and keep it: what is whole in it can still be read", true
}

func aboutLock(err error) (what, try string, ok bool) {
	e, ok := errors.AsType[*journal.LockedError](err)
	if !ok {
		return "", "", false
	}
	return sentence(e.Error()), "stop that process, or use another directory with --data-dir", true
}

// aboutRoom knows a disk, or a part of one, that is used up.
func aboutRoom(err error) (what, try string, ok bool) {
	e, isOurs := errors.AsType[*rialto.Error](err)
	if !isOurs || !errors.Is(err, journal.ErrFull) {
		return "", "", false
	}
	return e.Message, "again when something else on that disk is gone; or a larger --max-bytes, if one is set", true
}

// aboutAddress knows an address that cannot be listened on.
func aboutAddress(err error) (what, try string, ok bool) {
	e, isOp := errors.AsType[*net.OpError](err)
	if !isOp || e.Op != "listen" {
		return "", "", false
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Sprintf("The address %s is in use: another rialto, or a program like it, runs already.", e.Addr),
			"stop it, or choose another address with --listen, such as --listen 127.0.0.1:0 for any free port", true
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("The system does not permit this user to listen on %s.", e.Addr),
			"a port above 1023, such as --listen 127.0.0.1:4566", true
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Sprintf("This machine does not have the address %s.", e.Addr), "--listen 127.0.0.1:4566, or an address of this machine", true
	}
	return "", "", false
}

// aboutPattern shows where an event pattern is wrong.
func aboutPattern(err error) (what, try string, ok bool) {
	e, ok := errors.AsType[*syntax.Error](err)
	if !ok {
		return "", "", false
	}
	what = "The event pattern is not valid: " + strings.TrimSuffix(e.Reason, ".") + "."
	if e.Located() {
		what += fmt.Sprintf(" (line %d, column %d)\n%s", e.Line, e.Column, pointAt(e.Pattern, e.Line, e.Column))
	}
	return what, `a pattern is an object with lists of what each field may be, such as {"source": ["shop"], "detail": {"total": [{"numeric": [">", 100]}]}}`, true
}

// pointWidth is how much of a long line is shown around what is pointed at.
const pointWidth = 72

// pointAt shows a line of text with a caret below the character before the column, which is where the trouble ended. Columns
// count UTF-16 code units from 1, as AWS does.
func pointAt(text string, line, column int) string {
	lines := strings.Split(text, "\n")
	if line > len(lines) {
		return ""
	}
	var shown []rune
	caret, units := 0, 1
	for _, r := range strings.TrimRight(lines[line-1], "\r") {
		if units += utf16.RuneLen(r); units < column {
			caret++
		}
		if unicode.IsControl(r) {
			r = ' '
		}
		shown = append(shown, r)
	}
	from := max(0, caret-pointWidth/2)
	to := min(len(shown), from+pointWidth)
	return "  " + string(shown[from:to]) + "\n  " + strings.Repeat(" ", caret-from) + "^"
}

// aboutConnection knows a server that does not answer.
func aboutConnection(err error) (what, try string, ok bool) {
	e, isURL := errors.AsType[*url.Error](err)
	if !isURL || errors.Is(err, context.Canceled) {
		return "", "", false
	}
	where := e.URL
	if u, perr := url.Parse(e.URL); perr == nil {
		where = u.Scheme + "://" + u.Host
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return "Nobody answers at " + where + ".", "rialto serve, in another terminal; or name the server with --endpoint", true
	}
	return fmt.Sprintf("The server at %s cannot be reached: %v.", where, e.Err), "the address with --endpoint, such as --endpoint http://127.0.0.1:4566", true
}

// aboutAnswer knows a server that said no.
func aboutAnswer(err error) (what, try string, ok bool) {
	e, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return "", "", false
	}
	switch e.ErrorCode() {
	case "UnrecognizedClientException", "InvalidSignatureException", "InvalidClientTokenId", "SignatureDoesNotMatch", "MissingAuthenticationToken":
		try = "the right AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: this server verifies them"
	case "AccessDeniedException":
		try = "other credentials, or ask the owner of the bus for a permission (PutPermission)"
	}
	return fmt.Sprintf("The server refused: %s: %s", e.ErrorCode(), e.ErrorMessage()), try, true
}

// aboutFile knows files and folders that cannot be used.
func aboutFile(err error) (what, try string, ok bool) {
	e, ok := errors.AsType[*fs.PathError](err)
	if !ok {
		return "", "", false
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("This user may not use %s.", e.Path), fmt.Sprintf("another place, or ls -ld %s to see whose it is", filepath.Dir(e.Path)), true
	case errors.Is(err, fs.ErrNotExist):
		dir, _ := os.Getwd()
		return fmt.Sprintf("There is no file %s.", e.Path), "the path from here, which is " + dir, true
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, fs.ErrExist):
		return fmt.Sprintf("%s is in the way: it is a file, and a folder is needed.", e.Path), "another folder", true
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Sprintf("The disk of %s is full.", e.Path), "make room; what was acknowledged is safe", true
	case errors.Is(err, syscall.EROFS):
		return fmt.Sprintf("The disk of %s is read-only.", e.Path), "another folder", true
	}
	return "", "", false
}

// meant suggests the name that is nearest to what was written, or something else if none is near.
func meant(written string, names []string, prefix, otherwise string) string {
	if near := nearest(written, names); near != "" {
		return prefix + near
	}
	return otherwise
}

// nearest is the name with the fewest edits from what was written; "" if even that is another word.
func nearest(written string, names []string) string {
	best, fewest := "", max(2, len(written)/3)+1
	for _, name := range names {
		if d := edits(strings.ToLower(written), name); d < fewest {
			best, fewest = name, d
		}
	}
	return best
}

// edits is the Levenshtein distance of two short words.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

// sentence begins with a capital and ends with a full stop.
func sentence(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	if size == 0 {
		return s
	}
	s = string(unicode.ToUpper(r)) + s[size:]
	if !slices.Contains([]string{".", "!", "?"}, s[len(s)-1:]) {
		s += "."
	}
	return s
}
