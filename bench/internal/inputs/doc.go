// Package inputs makes the events and rules that matching is measured with: a realistic mix of twelve kinds of event with
// rules for them, and the citylots events with the rule families of a published benchmark.
//
// The same call gives the same bytes on every machine and Go release. How many matches there are in all is known from the
// published Java matcher of the pattern language; the benchmarks compare. Start with [Events] and [Mixed], or with [CityLots]
// and [Families] or [Scale].
package inputs
