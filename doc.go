// Package rialto is the vocabulary of rialto, an event router that speaks the wire protocol of Amazon EventBridge.
//
// It holds the names that every other package shares: accounts, regions, buses, rules and their ARNs ([ARN]), errors that
// a caller may act on ([Error]), and time as it is handed in ([Clock]). It does no I/O and imports nothing of the project.
//
// To run a whole server inside a test, see package rialtotest. To match events against patterns, see package pattern.
// To add a kind of destination, see package target.
package rialto
