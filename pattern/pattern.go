// Package pattern matches events against many event patterns at once.
//
// A [Set] holds patterns, each under an [ID]. [Set.Match] takes the JSON text of an event and returns the ids of the
// patterns that match. What a pattern means is written down in package syntax and in the files of testdata.
//
// Start with [Parse], [Set] and [Set.Match]. [AppendCompact] checks and compacts the JSON that Match relies on.
package pattern

import "github.com/rialto-events/rialto/pattern/syntax"

// A Pattern is a checked event pattern.
type Pattern = syntax.Pattern

// Parse reads an event pattern. Its errors are of type [*syntax.Error] and speak AWS's words.
func Parse(text []byte) (*Pattern, error) { return syntax.Parse(text) }

// An ID is the caller's name for a pattern in a [Set].
type ID uint32
