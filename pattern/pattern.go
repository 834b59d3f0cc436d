// Package pattern matches events against many event patterns at once.
//
// A [Set] holds patterns, each under an [ID]. [Set.Match] takes the JSON text of an event, reads it once without decoding
// it, and returns the ids of the patterns that match. What a pattern means is written down in package syntax and in the
// files of testdata; how fast it goes, in docs/performance.md.
//
// It promises:
//
//   - An event is matched against the set as it stood at one moment, never a mixture, while other goroutines match and change
//     it. Matching takes no lock.
//   - A match allocates nothing once its [Scratch] has grown to its work.
//   - The time of a match grows with the length of the event, with the patterns that come into question, and with how many
//     do match; hardly with the size of the set. Long arrays do not make it quadratic, and what is contrived to be hard is
//     refused.
//   - Adding or removing a pattern does not touch the others, but for a tidying up now and then whose cost is spread.
//
// Start with [Parse], [Set] and [Set.Match]. [AppendCompact] checks and compacts the JSON that Match relies on. [Explain]
// tells people why an event did not match.
//
// # How it works
//
//	event ──► scan.go ──► leaves ──► field.go ──► conjunctions ──► match.go ──► arrays.go ──► ids
//	          steered by             values lead to those          other        elements
//	          path.go                filed under them              clauses      that agree
//
// A pattern is one conjunction or, with $or, several: clauses that must all hold, each a field with its tests. Each
// conjunction is filed by one of its clauses, the one to which values of events seem to lead the most rarely: "this customer",
// not "that source". The scan knows the paths that patterns name and skips all else. A value that it finds is looked up in the
// tables of its field, which leads to the conjunctions filed there; these are the only ones whose other clauses are tested.
//
// Readers follow the index while a writer extends it. All that they can reach is only ever added to, and each rule says from
// which version of the set on, and up to which, it counts. What is dead is dropped in batches; a reader that was on its way
// meanwhile begins again.
package pattern

import "github.com/rialto-events/rialto/pattern/syntax"

// A Pattern is a checked event pattern.
type Pattern = syntax.Pattern

// Parse reads an event pattern. Its errors are of type [*syntax.Error] and speak AWS's words.
func Parse(text []byte) (*Pattern, error) { return syntax.Parse(text) }

// An ID is the caller's name for a pattern in a [Set].
type ID uint32
