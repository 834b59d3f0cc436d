// Package sqsapi is the front of Amazon SQS: the operations of the API "sqs", version 2012-11-05, in JSON and in the older query
// protocol.
//
// types_gen.go is generated from the service's public model. It holds model, which says how the service looks on the wire, and
// for every operation, such as SendMessage, a SendMessageInput and a SendMessageOutput; an operation without output returns
// *aws.NoOutput. In all of them a member that may be absent is a pointer, or a list, map or blob that is nil when absent and
// empty when it was given as empty.
//
// The model of SQS has no lengths, patterns or ranges, and the service checks enums itself. What is checked before an operation
// is called is only that required strings are there and not empty and that required numbers are there, in entries of batches too;
// whether a list or a map is there, and all else, is for the operation to say. A queue URL in the path of a query request has
// become the member QueueUrl.
//
// How an operation is written stands in service.go of package aws.
package sqsapi

//go:generate go run ../generate -service sqs
