// Package cloudevents maps events of EventBridge to CloudEvents 1.0 and back, and reads and writes those as HTTP has them.
//
//	EventBridge         CloudEvents
//	id                  id
//	source              source; what is no URI reference is percent-encoded, and awssource has it as it was
//	detail-type         type; control characters are percent-encoded, and awsdetailtype has it as it was
//	time                time
//	detail              data, of the type application/json; the bytes do not change
//	resources           awsresources, a JSON array as a string; the first of them is the subject, too
//	version, account,   awsversion, awsaccount,
//	region, replay-name awsregion, awsreplayname
//	trace header        traceparent and tracestate, of the distributed tracing extension
//
// From an event of EventBridge to CloudEvents and back nothing is lost: [Of] and [Event.Envelope] give the same JSON value again. An
// extension that CloudEvents could not have as a string, for it is empty or holds control characters, is written as a JSON
// string with escapes; so is one that begins with a quote.
//
// The other way something can be: an event of EventBridge has no place for dataschema, for other extensions, for data that are no JSON
// object, for a subject beside resources and for fractions of a second. [Event.Lost] says what it is. Who puts such an event loses the id
// as well, since the bus gives it one; but an event can also be carried whole, as the detail of another ([Event.AppendStructured]).
//
// The payload that a target's input made of an event takes the place of the data ([Event.SetData]); then there is no way back.
//
// What is read is bounded, and neither attributes nor data are believed. The package is pure. Start with [ForMessage], which is what
// targets need, and [Parse].
package cloudevents
