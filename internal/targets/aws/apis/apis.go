// Package apis knows how requests to AWS's services are written.
//
// [Find] knows some seventy services by the names that the SDKs give them, from a table (services.txt) that is made of the public models;
// [Service.Request] writes the request of an operation from an input as the SDKs spell it, in whatever protocol the service speaks. It
// calls nothing, and signs nothing.
//
// The table has, for each service, lines such as these:
//
//	service sfn json host=states signing=states json=1.0 target=AWSStepFunctions
//	op StartExecution StartExecutionInput
//	shape StartExecutionInput Input=input Name=name StateMachineArn=stateMachineArn
//
// A member is a name, the name on the wire if that is another one, a type, and where it stands if that is not the body. Types are b for
// bytes, t, i and h for times in seconds, by ISO 8601 and as in HTTP, @Shape for a structure, []type for a list, with the name of its items
// in forms or a dot if these have none, {}type for a map; everything else is as it is.
package apis

import (
	_ "embed"
	"strings"
	"sync"
)

//go:embed services.txt
var table string

// A Service is an API of AWS.
type Service struct {
	ID      string // as SDKs call it, without blanks, such as "cognitoidentityprovider"
	Host    string // of its endpoint, before region and domain
	Signing string // its name in signatures, and mostly in ARNs
	Name    string // that AWS's errors give it
	Global  string // the region that signatures name if there is one endpoint for all; mostly ""

	protocol   string
	json       string // version of the JSON protocol
	target     string // before the operation in X-Amz-Target
	version    string // of the query protocol
	operations map[string]operation
	shapes     map[string]*shape
}

type operation struct {
	input        string // name of a shape, or "-"
	method, path string // in REST
	host         string // before that of the service
}

type shape struct{ members []member }

type member struct {
	name, wire string
	typ        string
	place      string // in REST
	token      bool   // it names the call, and is made up if nobody gives it
}

// read are the services that have been read, by their ids: a *Service for each.
var read sync.Map

// Find finds a service by its id.
func Find(id string) (*Service, bool) {
	if s, ok := read.Load(id); ok {
		return s.(*Service), true
	}
	if id == "" || strings.ContainsAny(id, " \n") {
		return nil, false
	}
	_, section, ok := strings.Cut(table, "\nservice "+id+" ")
	if !ok {
		return nil, false
	}
	section, _, _ = strings.Cut(section, "\n\n")
	s, _ := read.LoadOrStore(id, parse(id, section))
	return s.(*Service), true
}

// Signings are the names in signatures of all services.
var Signings = sync.OnceValue(func() map[string]bool {
	names := make(map[string]bool)
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "service ") {
			continue
		}
		for field := range strings.FieldsSeq(line) {
			if name, ok := strings.CutPrefix(field, "signing="); ok {
				names[name] = true
			}
		}
	}
	return names
})

// parse reads a section of the table, behind its id. The table is our own, so that it is well formed.
func parse(id, section string) *Service {
	s := &Service{ID: id, operations: make(map[string]operation), shapes: make(map[string]*shape)}
	head, rest, _ := strings.Cut(section, "\n")
	fields := strings.Fields(head)
	s.protocol = fields[0]
	for _, f := range fields[1:] {
		name, value, _ := strings.Cut(f, "=")
		switch name {
		case "host":
			s.Host = value
		case "signing":
			s.Signing = value
		case "name":
			s.Name = value
		case "global":
			s.Global = value
		case "json":
			s.json = value
		case "target":
			s.target = value
		case "version":
			s.version = value
		}
	}
	if s.Name == "" {
		s.Name = s.Signing
	}
	for line := range strings.Lines(rest) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		if fields[0] == "shape" {
			s.shapes[fields[1]] = parseShape(fields[2:])
			continue
		}
		op := operation{input: fields[2]}
		for i, f := range fields[3:] {
			host, isHost := strings.CutPrefix(f, "host=")
			switch {
			case isHost:
				op.host = host
			case i == 0:
				op.method = f
			case i == 1:
				op.path = f
			}
		}
		s.operations[fields[1]] = op
	}
	return s
}

func parseShape(fields []string) *shape {
	sh := &shape{members: make([]member, len(fields))}
	for i, f := range fields {
		m := &sh.members[i]
		text, rest, _ := strings.Cut(f, ";")
		for place := range strings.SplitSeq(rest, ";") {
			if place == "token" {
				m.token = true
			} else {
				m.place = place
			}
		}
		m.name, m.typ, _ = strings.Cut(text, ":")
		m.name, m.wire, _ = strings.Cut(m.name, "=")
		if m.wire == "" {
			m.wire = m.name
		}
	}
	return sh
}

// find looks up a member by the name that SDKs have for it. Names on the wire are understood, too.
func (s *shape) find(name string) *member {
	if s == nil {
		return nil
	}
	for _, same := range []func(m *member) bool{
		func(m *member) bool { return m.name == name },
		func(m *member) bool { return strings.EqualFold(m.name, name) }, // models have some names as they are on the wire
		func(m *member) bool { return m.wire == name },
	} {
		for i := range s.members {
			if same(&s.members[i]) {
				return &s.members[i]
			}
		}
	}
	return nil
}
