// Package metrics counts what happens, for Prometheus.
//
// [Metrics] is told of events and attempts as an Observer of packages ingest and deliver, and of frames by the shards; how much waits
// is asked for when somebody reads. Rules have their own series, under AWS's names of CloudWatch too, but only so many: what comes
// after the first [maxRules] counts under the name "other", so that no number of rules makes the answer too large to be read.
// docs/metrics.md has every name; a test holds it true. Start with [New].
package metrics
