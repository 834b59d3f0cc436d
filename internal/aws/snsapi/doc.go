// Package snsapi is the front of Amazon SNS: the operations of the API "sns", version 2010-03-31, in the query protocol, answered in
// XML or, if the caller asks for it, in JSON.
//
// types_gen.go is generated from the service's public model. It holds model, which says how the service looks on the wire, and
// for every operation, such as Publish, a PublishInput and a PublishOutput; an operation without output returns *aws.NoOutput. In all
// of them a member that may be absent is a pointer, or a list, map or blob that is nil when absent and empty when it was given as empty.
//
// Topics, subscriptions and messages are package topic's; here they get names, checks and texts of the wire. What rialto has not,
// text messages, applications on phones and the sandbox for both, is said to be not served, and lists of it are empty.
//
// How an operation is written stands in service.go of package aws. Start with front.go.
package snsapi

//go:generate go run ../generate -service sns
