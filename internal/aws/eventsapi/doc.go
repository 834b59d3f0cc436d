// Package eventsapi is the front of Amazon EventBridge: the operations of the API "events", version 2015-10-07.
//
// A [Front] keeps buses, rules with their targets, permissions, tags, connections, API destinations and archives in the catalog, and hands
// events to package ingest. What it checks, and what it says when it refuses, is what AWS checks and says; where no text of AWS's
// is known it has one of its own. A change is in force when its call returns. Secrets of connections are sealed before they are
// kept, and never shown. Start with [Front.Service], the table of operations; files bear the names of their subjects.
//
// types_gen.go is generated from the service's public model. It holds model, which says how the service looks on the wire, and
// for every operation, such as PutRule, a PutRuleInput and a PutRuleOutput; an operation without output returns *aws.NoOutput.
// In all of them a member that may be absent is a pointer, or a list, map or blob that is nil when absent and empty when it was
// given as empty. Members that the model requires are pointers too and, in an input that reaches an operation, not nil.
// FailedEntryCount is a plain number, as it is always answered. Values of an enum are strings of a type of their own with a
// constant for each, such as RuleStateEnabled; in an input they are one of these. Times keep milliseconds where the service
// shows them and are cut to whole seconds elsewhere, so that an operation may hand out what it has.
//
// How an operation is written stands in service.go of package aws.
package eventsapi

//go:generate go run ../generate -service events
