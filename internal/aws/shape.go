package aws

import "time"

// A Shape is a structure of a service model.
type Shape struct {
	Name    string // in the model, such as "PutEventsRequestEntry"
	Members []Member
	Hidden  []string // members that the service has and its public model has not; messages show them, as null, after the others
}

// A Member is one member of a [Shape].
type Member struct {
	Name string // on the wire, such as "EventBusName"

	// The query protocol has two ways to write a list or map. The older one calls it by the name of its element and writes it flat:
	// Tag.1.Key=colour&Tag.1.Value=red. The other one gives the elements a name of their own: Tags.member.1.Key=colour.
	Query string // in forms and in XML, such as "Tag"; empty: as Name
	Item  string // of elements that are not flat, "member" in lists and "entry" in maps
	Key   string // of a map's keys there, such as "Key"
	Value string // of a map's values there, such as "Value"

	Sensitive bool // never shown in messages

	In Place // in a request of the REST-JSON protocol
}

// A Place is where a request of the REST-JSON protocol has a member of its input.
type Place uint8

// The places of members.
const (
	InBody Place = iota
	InPath
	InQuery
)

func (m *Member) query() string {
	if m.Query != "" {
		return m.Query
	}
	return m.Name
}

// A Decoder reads the values of one request, whatever its protocol. Generated code calls it in the order of the wire.
//
// The first failure ends everything: from then on NextMember, NextItem and NextKey report the end and the others return zero
// values. Err tells the failure.
type Decoder interface {
	BeginStruct(*Shape)
	NextMember() int // index of the next member that is present and known; -1 at the end of the structure
	BeginList()
	NextItem() bool
	BeginMap()
	NextKey() (key string, ok bool)

	String() string
	Bool() bool
	Int32() int32
	Int64() int64
	Time() time.Time
	Blob() []byte

	Err() error
	free() // ends the use of the decoder
}

// An Encoder writes values, whatever the protocol. Generated code visits every member of a structure, absent ones too.
type Encoder interface {
	BeginStruct(*Shape)
	Member(i int, present bool) bool // comes before the value of a member, which follows if Member returns true
	EndStruct()
	BeginList()
	EndList()
	BeginMap()
	Key(string) // comes before each value of a map
	EndMap()

	String(string)
	Bool(bool)
	Int(int64)
	Time(time.Time)
	Blob([]byte)
}

// Encodable is a value that can write itself.
type Encodable interface{ Encode(Encoder) }

// An Input is the argument of an operation, as the generator makes it: a pointer to I.
type Input[I any] interface {
	*I
	decodable
	Operation() string // such as "PutEvents"
	Check(*Checker)
}

// An Output is the result of an operation, as the generator makes it: a pointer to O.
type Output[O any] interface {
	*O
	Encodable
}

type decodable interface{ Decode(Decoder) }

// NoOutput is the result of an operation whose model knows none. Its response has an empty body.
type NoOutput struct{}

func (*NoOutput) Encode(e Encoder) {
	e.BeginStruct(&noOutput)
	e.EndStruct()
}

var noOutput Shape

// The rest of this file is what generated code calls for values that repeat.

// DecodeStruct reads a structure.
func DecodeStruct[T any, P interface {
	*T
	decodable
}](d Decoder) *T {
	v := new(T)
	P(v).Decode(d)
	return v
}

// DecodeStructs reads a list of structures. An empty list is not nil.
func DecodeStructs[T any, P interface {
	*T
	decodable
}](d Decoder) []T {
	list := []T{}
	for d.BeginList(); d.NextItem(); {
		list = append(list, *new(T))
		P(&list[len(list)-1]).Decode(d)
	}
	return list
}

// DecodeStrings reads a list of strings or of enum values. An empty list is not nil.
func DecodeStrings[S ~string](d Decoder) []S {
	list := []S{}
	for d.BeginList(); d.NextItem(); {
		list = append(list, S(d.String()))
	}
	return list
}

// DecodeBlobs reads a list of blobs. An empty list is not nil.
func DecodeBlobs(d Decoder) [][]byte {
	list := [][]byte{}
	for d.BeginList(); d.NextItem(); {
		list = append(list, d.Blob())
	}
	return list
}

// DecodeStringMap reads a map of strings. An empty map is not nil.
func DecodeStringMap(d Decoder) map[string]string {
	m := map[string]string{}
	d.BeginMap()
	for key, ok := d.NextKey(); ok; key, ok = d.NextKey() {
		m[key] = d.String()
	}
	return m
}

// DecodeStringMaps reads a list of maps of strings. An empty list is not nil.
func DecodeStringMaps(d Decoder) []map[string]string {
	list := []map[string]string{}
	for d.BeginList(); d.NextItem(); {
		list = append(list, DecodeStringMap(d))
	}
	return list
}

// DecodeStructMap reads a map of structures. An empty map is not nil.
func DecodeStructMap[T any, P interface {
	*T
	decodable
}](d Decoder) map[string]T {
	m := map[string]T{}
	d.BeginMap()
	for key, ok := d.NextKey(); ok; key, ok = d.NextKey() {
		m[key] = *DecodeStruct[T, P](d)
	}
	return m
}

// EncodeStructs writes a list of structures.
func EncodeStructs[T any, P Output[T]](e Encoder, list []T) {
	e.BeginList()
	for i := range list {
		P(&list[i]).Encode(e)
	}
	e.EndList()
}

// EncodeStrings writes a list of strings or of enum values.
func EncodeStrings[S ~string](e Encoder, list []S) {
	e.BeginList()
	for _, s := range list {
		e.String(string(s))
	}
	e.EndList()
}

// EncodeBlobs writes a list of blobs.
func EncodeBlobs(e Encoder, list [][]byte) {
	e.BeginList()
	for _, b := range list {
		e.Blob(b)
	}
	e.EndList()
}

// EncodeStringMap writes a map of strings, sorted by key.
func EncodeStringMap(e Encoder, m map[string]string) {
	e.BeginMap()
	for _, key := range sortedKeys(m) {
		e.Key(key)
		e.String(m[key])
	}
	e.EndMap()
}

// EncodeStringMaps writes a list of maps of strings.
func EncodeStringMaps(e Encoder, list []map[string]string) {
	e.BeginList()
	for _, m := range list {
		EncodeStringMap(e, m)
	}
	e.EndList()
}

// EncodeStringsMap writes a map of lists of strings, sorted by key. Only outputs in JSON have any.
func EncodeStringsMap(e Encoder, m map[string][]string) {
	e.BeginMap()
	for _, key := range sortedKeys(m) {
		e.Key(key)
		EncodeStrings(e, m[key])
	}
	e.EndMap()
}

// EncodeStructMap writes a map of structures, sorted by key.
func EncodeStructMap[T any, P Output[T]](e Encoder, m map[string]T) {
	e.BeginMap()
	for _, key := range sortedKeys(m) {
		e.Key(key)
		v := m[key]
		P(&v).Encode(e)
	}
	e.EndMap()
}
