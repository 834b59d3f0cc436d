package ingest

import (
	"time"
	"unicode/utf8"

	"github.com/rialto-events/rialto"
)

const timeLayout = "2006-01-02T15:04:05Z" // of the envelope; sub-seconds are cut off (recorded on AWS)

// An envelope is everything but the detail of an event as targets receive it, in the order in which AWS writes it (recorded on AWS).
type envelope struct {
	id         string
	detailType string
	source     string
	account    rialto.AccountID
	time       time.Time
	region     rialto.Region
	replay     string // replay-name, or empty
	resources  []string
}

// appendHead appends the event as compact JSON up to its detail, which comes next.
func (e *envelope) appendHead(b []byte) []byte {
	b = append(b, `{"version":"0","id":"`...)
	b = append(b, e.id...)
	b = append(b, `","detail-type":`...)
	b = appendQuoted(b, e.detailType)
	b = append(b, `,"source":`...)
	b = appendQuoted(b, e.source)
	b = append(b, `,"account":`...)
	b = appendQuoted(b, string(e.account))
	b = append(b, `,"time":"`...)
	b = e.time.UTC().AppendFormat(b, timeLayout)
	b = append(b, `","region":`...)
	b = appendQuoted(b, string(e.region))
	if e.replay != "" {
		b = append(b, `,"replay-name":`...)
		b = appendQuoted(b, e.replay)
	}
	b = append(b, `,"resources":[`...)
	for i, r := range e.resources {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendQuoted(b, r)
	}
	return append(b, `],"detail":`...)
}

const hexDigits = "0123456789abcdef"

// appendQuoted appends s as a JSON string, escaping only what JSON demands.
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\r':
			b = append(b, '\\', 'r')
		case c == '\t':
			b = append(b, '\\', 't')
		case c < 0x20:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		case c < utf8.RuneSelf:
			b = append(b, c)
		default:
			r, size := utf8.DecodeRuneInString(s[i:])
			b = utf8.AppendRune(b, r) // bytes that are no UTF-8 become U+FFFD
			i += size
			continue
		}
		i++
	}
	return append(b, '"')
}
