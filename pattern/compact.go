package pattern

import (
	"bytes"
	"encoding/json"
	"errors"
)

// MaxNesting is how many objects and arrays may lie in one another in an event (Jackson's limit, which is AWS's reader).
const MaxNesting = 1000

var errNotJSON = errors.New("not one JSON value")

// AppendCompact appends the JSON value to dst without the blanks between its tokens.
func AppendCompact(dst, text []byte) ([]byte, error) {
	if !json.Valid(text) {
		return dst, errNotJSON
	}
	b := bytes.NewBuffer(dst)
	err := json.Compact(b, text)
	return b.Bytes(), err
}
