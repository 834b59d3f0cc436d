package eventsapi

import "github.com/rialto-events/rialto"

// Limits are how much of each there may be. AWS's are small for reasons of its own, so rialto's are larger; who wants to be told
// early what AWS would refuse takes [AWSLimits].
type Limits struct {
	Buses         int // of a scope, beside the default one
	PolicyBytes   int // of the resource policy of a bus
	Rules         int // of a bus
	WildcardRules int // of a bus, those whose pattern has a wildcard
	PatternLength int // of an event pattern, in characters
	Targets       int // of a rule
	Tags          int // of a resource

	Connections     int // of a scope
	Destinations    int // API destinations of a scope
	DestinationRate int // invocations per second of an API destination
	Archives        int // of a scope
}

// AWSLimits are those of EventBridge (EventBridge user guide, "Quotas").
var AWSLimits = Limits{
	Buses:         100,
	PolicyBytes:   10_240,
	Rules:         300,
	WildcardRules: 30,
	PatternLength: 2048,
	Targets:       5,
	Tags:          50,

	Connections:     3000,
	Destinations:    3000,
	DestinationRate: 300,
	Archives:        100,
}

// DefaultLimits are those of rialto: what one machine holds with ease.
var DefaultLimits = Limits{
	Buses:         10_000,
	PolicyBytes:   65_536,
	Rules:         100_000,
	WildcardRules: 10_000,
	PatternLength: 4096, // the service model has no more
	Targets:       100,
	Tags:          50, // tools count on it

	Connections:     100_000,
	Destinations:    100_000,
	DestinationRate: 100_000,
	Archives:        10_000,
}

// orDefault fills in what is zero.
func (l Limits) orDefault() Limits {
	for _, p := range []struct {
		limit *int
		usual int
	}{
		{&l.Buses, DefaultLimits.Buses},
		{&l.PolicyBytes, DefaultLimits.PolicyBytes},
		{&l.Rules, DefaultLimits.Rules},
		{&l.WildcardRules, DefaultLimits.WildcardRules},
		{&l.PatternLength, DefaultLimits.PatternLength},
		{&l.Targets, DefaultLimits.Targets},
		{&l.Tags, DefaultLimits.Tags},
		{&l.Connections, DefaultLimits.Connections},
		{&l.Destinations, DefaultLimits.Destinations},
		{&l.DestinationRate, DefaultLimits.DestinationRate},
		{&l.Archives, DefaultLimits.Archives},
	} {
		if *p.limit == 0 {
			*p.limit = p.usual
		}
	}
	return l
}

// errTooMany is AWS's answer to one resource too many.
func errTooMany() error {
	return rialto.Errorf(rialto.Exceeded, "The requested resource exceeds the maximum number allowed.")
}
