// Package vault seals the secrets of connections, so that the log, the catalog and their backups hold none in the clear, and opens
// them again when a request needs them.
//
// A sealed secret is bound to its context, which is the ARN of what it belongs to: copied to another connection, it does not open.
// The keys are in one file of the data directory, which only its owner may read. Whoever has both the file and the data has the
// secrets; whoever lost the file has lost them, and must give every connection its secret again. Nodes that share their data share
// the file.
//
// The newest key seals and every key opens, so that [Vault.Rotate] needs no pause. A key that another process has added is found when
// something is to be opened that it has sealed. Start with [Open].
package vault

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

var (
	// ErrUnknownKey says that a secret was sealed with a key that is not in the file of keys.
	ErrUnknownKey = errors.New("the secret was sealed with another key")
	// ErrDamaged says that a sealed secret was changed, cut short, or belongs to something else.
	ErrDamaged = errors.New("the sealed secret is damaged or belongs to something else")
)

// A sealed secret is a version, the id of the key, a nonce, and the ciphertext with its tag. The tag covers all of it and the
// context. Nonces are random; AES-GCM allows 2³² of them for a key (NIST SP 800-38D, section 8.3), which is more connections than
// anybody will define.
const (
	version   = 1
	keySize   = 32 // AES-256
	idSize    = 8
	headSize  = 1 + idSize
	nonceSize = 12
	tagSize   = 16
)

// A Vault holds the keys. It is safe for concurrent use.
type Vault struct {
	file string
	keys atomic.Pointer[[]key] // the newest last; never changed in place

	mu sync.Mutex // held while the keys change
}

// A key seals and opens. Its id is a hash of it, so that a key and its id cannot come apart.
type key struct {
	secret [keySize]byte
	id     [idSize]byte
	aead   cipher.AEAD
}

func newKey(secret []byte) (key, error) {
	block, err := aes.NewCipher(secret)
	if err != nil {
		return key{}, err
	}
	k := key{secret: [keySize]byte(secret)}
	if k.aead, err = cipher.NewGCMWithRandomNonce(block); err != nil {
		return key{}, err
	}
	sum := sha256.Sum256(append([]byte("rialto vault key "), secret...))
	k.id = [idSize]byte(sum[:])
	return k, nil
}

func freshKey() (key, error) {
	secret := make([]byte, keySize)
	rand.Read(secret) // never fails: it ends the program first
	return newKey(secret)
}

// Open opens the vault of a data directory, and makes its file with a first key if there is none.
func Open(dir string) (*Vault, error) {
	v := &Vault{file: fileIn(dir)}
	keys, err := readKeys(v.file)
	if err != nil {
		return nil, err
	}
	v.keys.Store(&keys)
	if len(keys) == 0 {
		return v, v.Rotate()
	}
	return v, nil
}

// Rotate adds a key, which seals from now on. What older keys have sealed still opens.
func (v *Vault) Rotate() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	fresh, err := freshKey()
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	keys := append(slices.Clone(*v.keys.Load()), fresh)
	if err := writeKeys(v.file, keys); err != nil {
		return err
	}
	v.keys.Store(&keys) // only now: a secret must never be sealed with a key that is not on disk
	return nil
}

// Seal seals a secret for a context.
func (v *Vault) Seal(plain, context []byte) []byte {
	keys := *v.keys.Load()
	k := keys[len(keys)-1]
	sealed := make([]byte, 0, headSize+nonceSize+len(plain)+tagSize)
	sealed = append(append(sealed, version), k.id[:]...)
	return k.aead.Seal(sealed, nil, plain, covered(sealed, context))
}

// Old reports whether an older key than the newest has sealed a secret, so that it should be sealed anew.
func (v *Vault) Old(sealed []byte) bool {
	keys := *v.keys.Load()
	return len(sealed) >= headSize && !bytes.Equal(keys[len(keys)-1].id[:], sealed[1:headSize])
}

// Open opens a secret that was sealed for the same context. The error is [ErrDamaged] or [ErrUnknownKey], with what to do.
func (v *Vault) Open(sealed, context []byte) ([]byte, error) {
	if len(sealed) < headSize+nonceSize+tagSize {
		return nil, fmt.Errorf("%w: it has only %d bytes", ErrDamaged, len(sealed))
	}
	head, body := sealed[:headSize], sealed[headSize:]
	if head[0] != version {
		return nil, fmt.Errorf("%w: its version is %d; if a newer rialto sealed it, use that", ErrDamaged, head[0])
	}
	k, ok := v.find(head[1:])
	if !ok {
		v.refresh()
		k, ok = v.find(head[1:])
	}
	if !ok {
		return nil, fmt.Errorf("%w, %x, which is not in %s: restore that file, or define the secret again", ErrUnknownKey, head[1:], v.file)
	}
	plain, err := k.aead.Open(nil, nil, body, covered(head, context))
	if err != nil {
		return nil, ErrDamaged
	}
	return plain, nil
}

func (v *Vault) find(id []byte) (key, bool) {
	for _, k := range *v.keys.Load() {
		if bytes.Equal(k.id[:], id) {
			return k, true
		}
	}
	return key{}, false
}

// refresh reads the keys again. Whoever shares the file may have added one. A file that cannot be read changes nothing.
func (v *Vault) refresh() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if keys, err := readKeys(v.file); err == nil && len(keys) > 0 {
		v.keys.Store(&keys)
	}
}

// covered is what the tag covers beside the secret.
func covered(head, context []byte) []byte { return slices.Concat(head, context) }
