package tracecontext

import "strings"

const (
	parentSize = 55 // of a traceparent of version 00: VERSION-TRACE-PARENT-FLAGS (Trace Context 3.2.2)

	// maxState bounds a tracestate; so much is to be passed on by everybody (Trace Context 3.3.1.5). A longer one is left out.
	maxState   = 512
	maxMembers = 32 // of a tracestate (Trace Context 3.3.1)

	sampledBit = 1 // of the flags; the others mean nothing in version 00 (Trace Context 3.2.2.5)
)

// FromW3C makes a normal header of a traceparent with its tracestate, which may be empty. It is "" if the traceparent is not valid; a
// tracestate that is not is left out. Versions to come are read as far as they are known.
func FromW3C(traceparent, tracestate string) string {
	traceparent = strings.TrimSpace(traceparent)
	if len(traceparent) < parentSize {
		return ""
	}
	version, trace, parent, flags := traceparent[:2], traceparent[3:35], traceparent[36:52], traceparent[53:55]
	later := len(traceparent) > parentSize && version != "00" && traceparent[parentSize] == '-'
	switch {
	case traceparent[2] != '-' || traceparent[35] != '-' || traceparent[52] != '-',
		!hexOf(version, 2) || version == "ff" || len(traceparent) > parentSize && !later,
		!hexOf(trace, 32) || zero(trace) || !hexOf(parent, parentLength) || zero(parent) || !hexOf(flags, 2):
		return ""
	}
	f := fields{root: "1-" + trace[:8] + "-" + trace[8:], parent: parent, sampled: "0"}
	if nibble(flags[1])&sampledBit != 0 {
		f.sampled = "1"
	}
	if state := strings.TrimSpace(tracestate); validState(state) {
		f.others = []string{stateKey + "=" + escape.Replace(state)}
	}
	return f.String()
}

// W3C writes a normal header as a traceparent, and a tracestate if it came with one. Both are empty if there is no trace. A header
// without a parent gets one that is made of its root: it is the same for every target and attempt, and no span has it.
func W3C(header string) (traceparent, tracestate string) {
	f := split(header)
	if !validRoot(f.root) {
		return "", ""
	}
	trace := f.root[2:10] + f.root[11:]
	if zero(trace) {
		return "", ""
	}
	parent := f.parent
	if !hexOf(parent, parentLength) || zero(parent) {
		parent = trace[16:]
	}
	if zero(parent) {
		parent = trace[:16]
	}
	flags := "00"
	if f.sampled == "1" {
		flags = "01"
	}
	for _, o := range f.others {
		if state, ok := strings.CutPrefix(o, stateKey+"="); ok {
			if state = unescape.Replace(state); validState(state) {
				tracestate = state
			}
		}
	}
	return "00-" + trace + "-" + parent + "-" + flags, tracestate
}

// What separates the keys of X-Ray may stand within a tracestate, and blanks at an end would be trimmed there; so both are written
// with percent signs.
var (
	escape   = strings.NewReplacer("%", "%25", ";", "%3B")
	unescape = strings.NewReplacer("%3B", ";", "%25", "%")
)

// validState reports whether a tracestate can be passed on. What stands between its commas is its vendors' own business, as long as
// it is printable.
func validState(s string) bool {
	return s != "" && len(s) <= maxState && strings.Count(s, ",") < maxMembers && printable(s) && s == strings.TrimSpace(s)
}

func zero(hex string) bool { return strings.Trim(hex, "0") == "" }

func nibble(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}
