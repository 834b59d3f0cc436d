// Package aws delivers events to services of AWS that are elsewhere: in a real account, or in another emulator.
//
// A [Remote] says where: which accounts, regions and services it stands for, at which endpoint and with which credentials. An ARN goes
// to the first remote that claims it. What rialto serves itself a remote claims only if it names the service.
//
// All services are called in one way (ADR 13): [kinds] is a table that says which operation takes an event and how its request is
// written; the rest, signing, calling, bounding and reading what is answered, is the same for all and stands in this package once.
//
//	definition ─► remote ─► kind ─► request ─► sign ─► call ─► answer ─► taken, or an error in AWS's words
//
// Errors are sorted as EventBridge sorts them: throttling and what is broken on the other side are worth another attempt; a resource that
// is not there, a permission that is missing and a request that is not valid are not. Credentials that are wrong or have expired are
// the operator's to put right, and are tried again. Secrets are in no error and in no answer. Start with [New].
package aws
