package sqsapi

import (
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"

	"github.com/rialto-events/rialto/internal/queue"
)

// The digests that SDKs compare with their own (SQS developer guide, "Calculating the MD5 message digest for message attributes").

func bodyDigest(body string) *string {
	sum := md5.Sum([]byte(body))
	return new(hex.EncodeToString(sum[:]))
}

// attributesDigest is the digest of user attributes, or nil if there are none. For each, by name: the name, the type and the
// value, with their lengths in front, and before the value whether it is text or bytes.
func attributesDigest(attributes map[string]queue.Attribute) *string {
	if len(attributes) == 0 {
		return nil
	}
	var b []byte
	add := func(s string) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		a := attributes[name]
		add(name)
		add(a.Type)
		if a.Binary() {
			b = append(b, 2)
		} else {
			b = append(b, 1)
		}
		add(a.Value)
	}
	sum := md5.Sum(b)
	return new(hex.EncodeToString(sum[:]))
}

// systemDigest is the digest of the system attributes that can be sent.
func systemDigest(trace string) *string {
	if trace == "" {
		return nil
	}
	return attributesDigest(map[string]queue.Attribute{traceHeader: {Type: "String", Value: trace}})
}
