package shard

// Scale makes a shard that does not run yet care about fewer bytes, so that a test needs no gigabytes.
func (s *Shard) Scale(minSnapshot, slack int64) {
	s.core.minSnapshot, s.core.slack = minSnapshot, slack
}
