package ingest

// Replayed is replayed, for tests.
var Replayed = replayed
