package target

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
)

// A Key names a [Definition] in a log. It is a hash of the definition's encoding, so equal definitions share it.
type Key [16]byte

// A Sealed is a definition as logs keep it: it does not change any more.
type Sealed struct {
	*Definition
	Key  Key
	JSON []byte // encodes the definition
}

// Seal encodes a definition.
func Seal(d *Definition) (*Sealed, error) {
	b, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("encode target %s of %s: %w", d.ID, d.Rule, err)
	}
	return sealed(d, b), nil
}

// Unseal reads a definition that [Seal] encoded.
func Unseal(b []byte) (*Sealed, error) {
	d := new(Definition)
	if err := json.Unmarshal(b, d); err != nil {
		return nil, fmt.Errorf("read the definition of a target: %w", err)
	}
	return sealed(d, b), nil
}

func sealed(d *Definition, b []byte) *Sealed {
	return &Sealed{Definition: d, Key: KeyOf(b), JSON: b}
}

// KeyOf is the key of a definition, as [Seal] encodes it.
func KeyOf(b []byte) Key {
	sum := sha256.Sum256(b)
	return Key(sum[:16])
}
