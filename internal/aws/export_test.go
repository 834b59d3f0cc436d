package aws

import "net/url"

// The decoders, for tests that compare them with slower ones.
func NewJSONDecoder(body []byte) Decoder { return newJSONDecoder(body) }

func Free(d Decoder) { d.free() }

func NewQueryDecoder(values url.Values) (Decoder, error) {
	f, err := newForm(values)
	if err != nil {
		return nil, err
	}
	return &queryDecoder{at: f}, nil
}
