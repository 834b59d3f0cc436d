package ingest

import (
	"slices"
	"strings"
)

// maxTraceHeader bounds what is read of a trace header (EventBridge API, PutEventsRequestEntry.TraceHeader).
const maxTraceHeader = 500

// traceOf is the X-Ray trace header that an entry's deliveries carry, or "". An entry's own header beats that of the HTTP
// request even when it is empty or malformed; a header that cannot be read never fails the event (recorded on AWS).
func traceOf(entry *string, request string, newRoot func() string) string {
	header := request
	if entry != nil {
		header = *entry
	}
	return normalTrace(header, newRoot)
}

// normalTrace brings a trace header into the form Root=…;Parent=…;Sampled=…;others, or "" if it has no valid root.
func normalTrace(header string, newRoot func() string) string {
	if header == "" || len(header) > maxTraceHeader {
		return ""
	}
	var root, parent, sampled string
	var others []string
	for part := range strings.SplitSeq(header, ";") {
		key, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || key == "" {
			continue
		}
		switch key {
		case "Root":
			root = strings.ToLower(value)
		case "Parent":
			parent = value
		case "Sampled":
			sampled = value
		default:
			others = append(others, key+"="+value)
		}
	}
	if sampled != "0" && sampled != "1" && sampled != "?" {
		sampled = ""
	}
	if !validRoot(root) {
		if sampled != "0" {
			return ""
		}
		root = newRoot()
	}
	if sampled == "1" && parent != strings.ToLower(parent) {
		return ""
	}
	if !hexOf(parent, 16) {
		parent = ""
	}
	slices.Sort(others)
	out := "Root=" + root
	if parent != "" {
		out += ";Parent=" + parent
	}
	if sampled != "" {
		out += ";Sampled=" + sampled
	}
	for _, o := range others {
		out += ";" + o
	}
	return out
}

// validRoot reports whether s is 1-<8 hex>-<24 hex>.
func validRoot(s string) bool {
	return len(s) == 35 && s[0] == '1' && s[1] == '-' && s[10] == '-' && hexOf(s[2:10], 8) && hexOf(s[11:], 24)
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
