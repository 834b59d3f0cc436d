package aws

import "encoding/json"

// JSON is a value as the JSON protocols write it. With it a front keeps values that it only hands out again.
func JSON(v Encodable) []byte {
	var e jsonEncoder
	v.Encode(&e)
	return e.buf
}

// KeepJSON adds a value to those that are kept, unless it is nil.
func KeepJSON[T any, P Output[T]](kept map[string]json.RawMessage, name string, p P) {
	if p != nil {
		kept[name] = JSON(p)
	}
}

// ParseJSON reads a value that [JSON] wrote.
func ParseJSON[T any, P interface {
	*T
	decodable
}](b []byte) (*T, error) {
	d := newJSONDecoder(b)
	v := DecodeStruct[T, P](d)
	return v, d.Err()
}
