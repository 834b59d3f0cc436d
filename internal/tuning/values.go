package tuning

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/rialto-events/rialto/internal/jsonpath"
	"github.com/rialto-events/rialto/target"
)

// Limits of what tags may ask for. Where AWS has the same thing elsewhere, the limit is AWS's.
const (
	maxArchive        = 48 // characters (EventBridge service model, ArchiveName)
	archiveCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"

	minBatch       = 2               // events; one is no batch
	maxBatch       = 10_000          // events (Lambda, CreateEventSourceMapping: BatchSize)
	maxBatchWindow = 5 * time.Minute // (Lambda, CreateEventSourceMapping: MaximumBatchingWindowInSeconds)
	minBatchBytes  = 1 << 10
	maxBatchBytes  = 6 << 20 // (Lambda quotas: invocation payload)

	minTimeout = 100 * time.Millisecond
	maxTimeout = 15 * time.Minute // (Lambda quotas: function timeout)

	maxConcurrency = 1000    // (Lambda quotas: concurrent executions)
	maxRate        = 100_000 // a second; more is no limit to anything that rialto serves

	minBreakerWindow = time.Second
	maxBreakerWindow = time.Hour
	maxBreakerVolume = 1_000_000 // attempts

	defaultDedupeWindow = 5 * time.Minute // (SQS developer guide, "Exactly-once processing")
	minDedupeWindow     = time.Second
	// MaxDedupeWindow is for how long a key is remembered at most.
	MaxDedupeWindow = 24 * time.Hour
)

var formats = []target.Format{target.CloudEventsBinary, target.CloudEventsStructured, target.CloudEventsBatch}

// members are those of an event; a path that begins with another leads nowhere in any.
var members = []string{
	"detail", "detail-type", "source", "account", "region", "time", "id", "resources", "version", "replay-name",
}

// What the tags take, as the rest of a sentence.
var (
	takesPath = "a path into the event that begins with one of its members, such as $.detail.orderId or detail.items[0].id, and " +
		"the members of an event are " + strings.Join(members, ", ")
	takesBatch = fmt.Sprintf("a number of events from %d to %d and how long the first of them waits at most, up to %s, such as 100/5s, and "+
		"may add the size of all from 1KB to %dMB, such as 100/5s/256KB", minBatch, maxBatch, span(maxBatchWindow), maxBatchBytes>>20)
	takesTimeout     = fmt.Sprintf("a time from %s to %s, such as 30s", span(minTimeout), span(maxTimeout))
	takesConcurrency = fmt.Sprintf("a number from 1 to %d, such as 50", maxConcurrency)
	takesRate        = fmt.Sprintf("a number above 0 for each second, minute or hour, such as 200/s, 30/m or 10/h, and up to %d/s", maxRate)
	takesBreaker     = fmt.Sprintf("the share of attempts that fail and a time from %s to %s, such as 50%%/30s or 0.5/30s, and may add the least "+
		"number of attempts from 1 to %d, such as 50%%/30s/20; or it takes off", span(minBreakerWindow), span(maxBreakerWindow), maxBreakerVolume)
	takesFormat       = "cloudevents-binary, cloudevents-structured or cloudevents-batch"
	takesArchive      = fmt.Sprintf("the name of an archive of the rule's bus, which has from 1 to %d letters, digits, dots, dashes and underscores", maxArchive)
	takesDedupeWindow = fmt.Sprintf("a time from %s to %s, such as 5m", span(minDedupeWindow), span(MaxDedupeWindow))
)

func parseArchive(v string) (string, bool) {
	ok := v != "" && len(v) <= maxArchive && !strings.ContainsFunc(v, func(c rune) bool { return !strings.ContainsRune(archiveCharacters, c) })
	return v, ok
}

// span writes a time without the zeros behind it.
func span(d time.Duration) string {
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}

// parsePath reads a path with or without its $. before the first name: AWS's own tags have no dollar signs.
func parsePath(v string) (jsonpath.Path, bool) {
	if !strings.HasPrefix(v, "$") {
		v = "$." + v
	}
	p, err := jsonpath.Parse(v)
	if err != nil {
		return jsonpath.Path{}, false
	}
	for _, name := range members {
		if rest, ok := strings.CutPrefix(v, "$."+name); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return p, true
		}
	}
	return jsonpath.Path{}, false
}

func parseBatch(v string) (*target.Batch, bool) {
	count, rest, _ := strings.Cut(v, "/")
	window, bytes, sized := strings.Cut(rest, "/")
	b := new(target.Batch)
	var ok bool
	if b.Size, ok = parseCount(count, minBatch, maxBatch); !ok {
		return nil, false
	}
	if b.Window, ok = parseDuration(window, 0, maxBatchWindow); !ok || !sized {
		return b, ok
	}
	b.Bytes, ok = parseBytes(bytes)
	return b, ok
}

// sizes are the units of sizes. Like AWS's own limits, they count in powers of two whichever way they are spelt.
var sizes = []struct {
	unit  string
	bytes int
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"KB", 1 << 10}, {"MB", 1 << 20}, {"B", 1}}

func parseBytes(v string) (int, bool) {
	for _, s := range sizes {
		if n, ok := strings.CutSuffix(v, s.unit); ok {
			count, ok := parseCount(n, 1, maxBatchBytes)
			size := count * s.bytes
			return size, ok && size >= minBatchBytes && size <= maxBatchBytes
		}
	}
	return 0, false
}

func parseRate(v string) (perSecond float64, ok bool) {
	count, unit, _ := strings.Cut(v, "/")
	per, known := map[string]float64{"s": 1, "m": 60, "h": 3600}[unit]
	n, ok := parseDecimal(count)
	perSecond = n / per
	return perSecond, ok && known && perSecond > 0 && perSecond <= maxRate
}

// ParseBreaker reads when circuits open, as the tag of a rule has it.
func ParseBreaker(v string) (target.Breaker, error) {
	b, ok := parseBreaker(v)
	if !ok {
		return target.Breaker{}, fmt.Errorf("it is %s", takesBreaker)
	}
	return *b, nil
}

func parseBreaker(v string) (*target.Breaker, bool) {
	if v == "off" {
		return &target.Breaker{Off: true}, true
	}
	share, rest, _ := strings.Cut(v, "/")
	window, volume, least := strings.Cut(rest, "/")
	b := new(target.Breaker)
	share, percent := strings.CutSuffix(share, "%")
	var ok bool
	if b.Failures, ok = parseDecimal(share); percent {
		b.Failures /= 100
	}
	if !ok || b.Failures <= 0 || b.Failures > 1 {
		return nil, false
	}
	if b.Window, ok = parseDuration(window, minBreakerWindow, maxBreakerWindow); !ok || !least {
		return b, ok
	}
	b.Volume, ok = parseCount(volume, 1, maxBreakerVolume)
	return b, ok
}

func parseDuration(v string, least, most time.Duration) (time.Duration, bool) {
	d, err := time.ParseDuration(v)
	return d, err == nil && d >= least && d <= most
}

func parseCount(v string, least, most int) (int, bool) {
	if !plain(v, false) {
		return 0, false
	}
	n, err := strconv.Atoi(v)
	return n, err == nil && n >= least && n <= most
}

// parseDecimal reads digits with a point among them or not.
func parseDecimal(v string) (float64, bool) {
	if !plain(v, true) {
		return 0, false
	}
	n, err := strconv.ParseFloat(v, 64)
	return n, err == nil && !math.IsInf(n, 0)
}

// plain reports whether v is made of digits alone, with a point among them if it may have one.
func plain(v string, point bool) bool {
	if point {
		v = strings.Replace(v, ".", "", 1)
	}
	return v != "" && strings.Trim(v, "0123456789") == ""
}
