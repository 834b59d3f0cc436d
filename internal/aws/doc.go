// Package aws is the wire of Amazon's APIs: it takes HTTP requests as the SDKs send them and hands typed inputs to functions.
//
// It knows protocols and no service. A service is a table of operations ([NewService]) over types that the generator in
// internal/aws/generate makes from Amazon's public service models; [NewHandler] serves several of them on one port, choosing by
// target header, by form action, or by method and path. Everything that is the same for every operation
// happens here and once: request ids, credentials and signatures, decoding, the checks of the service model with their exact
// messages, the rendering of errors, the access log.
//
// What it promises: a malformed, oversized or hostile request ends in one of Amazon's errors, never in a panic or a hang, and an
// operation is only called with an input that satisfies the constraints of its model. Start with service.go, which tells how a
// front is written.
package aws
