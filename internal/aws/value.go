package aws

// JSON is a value as the JSON protocols write it. With it a front keeps values that it only hands out again.
func JSON(v Encodable) []byte {
	var e jsonEncoder
	v.Encode(&e)
	return e.buf
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
