package aws

// How a front is written
//
// A front serves one AWS API. Its types, with their decoding, encoding and checks, and its Model come out of the generator; what
// a person writes is a function for each operation and the table that names them:
//
//	// Front serves the operations on greetings.
//	type Front struct{ greetings *catalog.Greetings }
//
//	// New is the API as it is.
//	func (f *Front) Service() *aws.Service {
//		return aws.NewService(&model,
//			aws.Op(f.DescribeGreeting),
//			aws.Op(f.PutGreeting),
//		)
//	}
//
//	func (f *Front) DescribeGreeting(ctx context.Context, in *DescribeGreetingInput) (*DescribeGreetingOutput, error) {
//		g, err := f.greetings.Find(aws.Caller(ctx).Scope, *in.Name) // Name is required by the model, so it is not nil
//		if err != nil {
//			return nil, err // a *rialto.Error of kind NotFound becomes ResourceNotFoundException, 400
//		}
//		return &DescribeGreetingOutput{Text: new(g.Text), CreationTime: new(g.Created)}, nil
//	}
//
//	func (f *Front) PutGreeting(ctx context.Context, in *PutGreetingInput) (*PutGreetingOutput, error) {
//		if strings.HasPrefix(*in.Name, "aws.") {
//			return nil, rialto.WithCode(rialto.Invalid, "ManagedGreetingException", "Greeting %s is managed.", *in.Name)
//		}
//		…
//	}
//
// A member that the caller may leave out is a pointer, or a list or map that is nil when absent and empty when given as empty.
// The name of an operation comes from the type of its input. What the model has and the table has not answers with 400 and says
// that rialto does not serve it yet.

import (
	"context"
	"fmt"
	"slices"

	"github.com/rialto-events/rialto"
)

// A Model is what the wire has to know of a service. The generator writes it.
type Model struct {
	Name         string   // in the credential scope and in ARNs, such as "events"
	TargetPrefix string   // of the X-Amz-Target header, such as "AWSEvents"
	JSONVersion  string   // of the content type, "1.0" or "1.1"
	Operations   []string // all there are, sorted

	Version      string // of the query protocol, such as "2012-11-05"; empty if the service does not speak it
	Namespace    string // of XML responses
	PathMember   string // the member that the URL of a query request fills, such as "QueueUrl"
	ErrorPrefix  string // before the shape of a modelled error in JSON, such as "com.amazonaws.sqs#"
	CommonPrefix string // before the name of an error that every service has, such as "com.amazon.coral.service#"

	Routes      []Route // of the REST-JSON protocol; nil if the service does not speak it
	ErrorMember string  // that has the message of an error there

	Kinds  map[rialto.Kind]string // error codes that differ from what most services use; see errors.go
	Errors map[string]ErrorShape  // modelled errors, by shape
}

// An ErrorShape is an error of a service model.
type ErrorShape struct {
	Status       int    // of the HTTP response; 0 is 400
	QueryCode    string // where the query protocol knows it by another name, such as "QueueAlreadyExists"
	QueryMessage string // where it has another message there
}

// An Operation is a function of a [Service], ready to be called from the wire. See [Op].
type Operation struct {
	name string
	open bool // it may be called without a signature
	call func(context.Context, Decoder) (Encodable, error)
}

// Open is an operation that may also be called without a signature, such as by a link in a message. The caller is anonymous then, and
// the operation has to know by something else what it may do.
func Open(op Operation) Operation {
	op.open = true
	return op
}

// Op makes an [Operation] from a function from input to output.
func Op[I, O any, PI Input[I], PO Output[O]](f func(context.Context, PI) (PO, error)) Operation {
	return Operation{
		name: PI(new(I)).Operation(),
		call: func(ctx context.Context, d Decoder) (Encodable, error) {
			in := PI(new(I))
			in.Decode(d)
			err := d.Err()
			d.free()
			if err != nil {
				return nil, err
			}
			var c Checker
			in.Check(&c)
			if err := c.Err(); err != nil {
				return nil, err
			}
			out, err := f(ctx, in)
			if err != nil {
				return nil, err
			}
			return out, nil
		},
	}
}

// A Service is one AWS API: its model, and those of its operations that are served.
type Service struct {
	model      *Model
	operations map[string]Operation
}

// NewService makes a Service. It panics if an operation is not in the model or comes twice, which is a mistake in a table.
func NewService(m *Model, operations ...Operation) *Service {
	s := &Service{model: m, operations: map[string]Operation{}}
	for _, op := range operations {
		if _, twice := s.operations[op.name]; twice || !s.has(op.name) {
			panic(fmt.Sprintf("aws: operation %s of %s is unknown or comes twice", op.name, m.Name))
		}
		s.operations[op.name] = op
	}
	return s
}

// find looks up an operation that is served. Its error tells what the service does not have from what rialto does not serve yet.
func (s *Service) find(name string) (Operation, error) {
	if op, ok := s.operations[name]; ok {
		return op, nil
	}
	if s.has(name) {
		return Operation{}, rialto.WithCode(rialto.Invalid, unknownOperation, "rialto does not serve the operation %s of %s yet.", name, s.model.Name)
	}
	return Operation{}, rialto.WithCode(rialto.Invalid, unknownOperation, "The action %s is not valid for this endpoint.", name)
}

// has reports whether the service's model knows an operation.
func (s *Service) has(name string) bool { return slices.Contains(s.model.Operations, name) }
