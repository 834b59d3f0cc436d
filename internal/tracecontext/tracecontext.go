// Package tracecontext reads and writes the headers by which a trace travels: X-Ray's X-Amzn-Trace-Id, and traceparent and
// tracestate of the W3C (Trace Context, Level 1).
//
// Within rialto a trace is always a header of X-Ray in its normal form, which [Normal] and [FromW3C] make, or "" if there is none:
//
//	Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1
//
// [W3C] writes the same trace in the other form. Nothing is lost on the way from there and back: the trace id is the root without
// its ornaments, the parents are the same, Sampled is the flag, and a tracestate travels as one of the further keys that X-Ray
// allows. Start with [Normal].
package tracecontext

import (
	"slices"
	"strings"
)

const (
	// maxHeader bounds what is read of a header of X-Ray (EventBridge API, PutEventsRequestEntry.TraceHeader).
	maxHeader = 500

	rootLength   = 35 // 1-<8 hex>-<24 hex>
	parentLength = 16
	stateKey     = "TraceState" // of a tracestate among X-Ray's keys
)

// Normal brings a header of X-Ray into the form Root=…;Parent=…;Sampled=…;others, or "" if it has no valid root. A header that says
// that nothing is sampled, and has no valid root, gets one from newRoot (all recorded on AWS).
func Normal(header string, newRoot func() string) string {
	if header == "" || len(header) > maxHeader {
		return ""
	}
	f := split(header)
	f.root = strings.ToLower(f.root)
	if f.sampled != "0" && f.sampled != "1" && f.sampled != "?" {
		f.sampled = ""
	}
	if !validRoot(f.root) {
		if f.sampled != "0" {
			return ""
		}
		f.root = newRoot()
	}
	if f.sampled == "1" && f.parent != strings.ToLower(f.parent) {
		return ""
	}
	if !hexOf(f.parent, parentLength) {
		f.parent = ""
	}
	slices.Sort(f.others)
	return f.String()
}

// fields are the parts of a header of X-Ray; those that are empty are not there.
type fields struct {
	root, parent, sampled string
	others                []string // KEY=VALUE
}

func split(header string) (f fields) {
	for part := range strings.SplitSeq(header, ";") {
		key, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || key == "" || !printable(part) {
			continue
		}
		switch key {
		case "Root":
			f.root = value
		case "Parent":
			f.parent = value
		case "Sampled":
			f.sampled = value
		default:
			f.others = append(f.others, key+"="+value)
		}
	}
	return f
}

func (f fields) String() string {
	out := "Root=" + f.root
	if f.parent != "" {
		out += ";Parent=" + f.parent
	}
	if f.sampled != "" {
		out += ";Sampled=" + f.sampled
	}
	for _, o := range f.others {
		out += ";" + o
	}
	return out
}

// validRoot reports whether s is 1-<8 hex>-<24 hex>.
func validRoot(s string) bool {
	return len(s) == rootLength && s[0] == '1' && s[1] == '-' && s[10] == '-' && hexOf(s[2:10], 8) && hexOf(s[11:], 24)
}

// printable reports whether s can stand in a header of HTTP.
func printable(s string) bool {
	for _, c := range []byte(s) {
		if (c < ' ' || c > '~') && c != '\t' {
			return false
		}
	}
	return true
}

// hexOf reports whether s is n lower-case hexadecimal digits.
func hexOf(s string, n int) bool {
	if len(s) != n {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
