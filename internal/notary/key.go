package notary

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/journal"
)

// What is in the bucket.
const (
	keyEntry          = "key"          // a stored
	certificatePrefix = "certificate/" // PEM, under the hexadecimal digits of its path
)

// sealContext is what the key is sealed for.
const sealContext = "rialto notary"

const (
	keyBits  = 2048 // as AWS's
	lifetime = 20 * 365 * 24 * time.Hour
	early    = 24 * time.Hour // that a certificate is valid before it is made, for those whose clock is behind
	idLength = 32             // hexadecimal digits, as AWS has
	maxTries = 5              // to get or make the key, if other nodes do the same
)

// subject is what AWS's certificates have, for those who look; that it is from here stands beside it.
var subject = pkix.Name{CommonName: "sns.amazonaws.com", Organization: []string{"rialto"}}

// A key signs.
type key struct {
	private *rsa.PrivateKey
	path    string // of its certificate
}

// A stored key is one in the bucket.
type stored struct {
	Certificate string    `json:"certificate"` // the digits
	Sealed      []byte    `json:"sealed"`      // the private key, in PKCS #8
	Made        time.Time `json:"made"`
}

// current is the key to sign with. One is made if there is none.
func (n *Notary) current(ctx context.Context) (*key, error) {
	if k := n.key.Load(); k != nil {
		return k, nil
	}
	select {
	case n.opening <- struct{}{}:
		defer func() { <-n.opening }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if k := n.key.Load(); k != nil {
		return k, nil
	}
	k, err := n.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("open the key that signs: %w", err)
	}
	n.key.Store(k)
	return k, nil
}

// open reads the key, or makes it. Of several nodes that do so at the same time one is first, and the others take that one's.
func (n *Notary) open(ctx context.Context) (*key, error) {
	for range maxTries {
		entry, err := n.kv.Get(ctx, keyEntry)
		if errors.Is(err, journal.ErrNotFound) {
			if k, err := n.make(ctx, 0); !errors.Is(err, journal.ErrExists) {
				return k, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		k, err := n.read(ctx, entry)
		if err == nil {
			return k, nil
		}
		n.log.Warn("key that signs messages of topics is replaced; certificates of former ones stay", "err", err)
		if k, err := n.make(ctx, entry.Rev); !errors.Is(err, journal.ErrConflict) {
			return k, err
		}
	}
	return nil, rialto.Errorf(rialto.Unavailable, "The key that signs is changed by others all the time; try again.")
}

// read opens what is stored, and seals it anew if the vault has a newer key.
func (n *Notary) read(ctx context.Context, e journal.Entry) (*key, error) {
	var s stored
	if err := json.Unmarshal(e.Value, &s); err != nil {
		return nil, fmt.Errorf("read its entry: %w", err)
	}
	plain, err := n.vault.Open(s.Sealed, []byte(sealContext))
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		return nil, err
	}
	private, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("it is a %T and not of RSA", parsed)
	}
	if n.vault.Old(s.Sealed) {
		s.Sealed = n.vault.Seal(plain, []byte(sealContext))
		value, err := json.Marshal(s)
		if err == nil {
			_, err = n.kv.Update(ctx, keyEntry, value, e.Rev)
		}
		if err != nil && !errors.Is(err, journal.ErrConflict) { // another node was faster
			n.log.Error("key that signs not sealed anew", "err", err)
		}
	}
	return &key{private, pathPrefix + s.Certificate + pathSuffix}, nil
}

// make makes a key in the place of the entry of a revision, or of none for 0. The certificate comes first: nothing may be signed
// that cannot be verified.
func (n *Notary) make(ctx context.Context, revision uint64) (*key, error) {
	private, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, err
	}
	now := n.clock.Now()
	certificate, id, err := certify(private, now)
	if err != nil {
		return nil, err
	}
	plain, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	value, err := json.Marshal(stored{Certificate: id, Sealed: n.vault.Seal(plain, []byte(sealContext)), Made: now.UTC()})
	if err != nil {
		return nil, err
	}
	if _, err := n.kv.Put(ctx, certificatePrefix+id, certificate); err != nil {
		return nil, err
	}
	if revision == 0 {
		_, err = n.kv.Create(ctx, keyEntry, value)
	} else {
		_, err = n.kv.Update(ctx, keyEntry, value, revision)
	}
	if err != nil {
		return nil, err
	}
	return &key{private, pathPrefix + id + pathSuffix}, nil
}

// certify makes the certificate of a key, in PEM, and its id.
func certify(private *rsa.PrivateKey, now time.Time) (certificate []byte, id string, err error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, "", err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: subject, DNSNames: []string{subject.CommonName}, NotBefore: now.Add(-early), NotAfter: now.Add(lifetime),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true, SignatureAlgorithm: x509.SHA256WithRSA,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(der)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), hex.EncodeToString(sum[:])[:idLength], nil
}

// certificate is the certificate with an id, in PEM.
func (n *Notary) certificate(ctx context.Context, id string) ([]byte, error) {
	if b, err := hex.DecodeString(id); err != nil || len(b) != idLength/2 {
		return nil, rialto.Errorf(rialto.NotFound, "%.40q is the id of no certificate.", id)
	}
	n.mu.Lock()
	known := n.certificates[id]
	n.mu.Unlock()
	if known != nil {
		return known, nil
	}
	e, err := n.kv.Get(ctx, certificatePrefix+id)
	if errors.Is(err, journal.ErrNotFound) {
		return nil, rialto.Errorf(rialto.NotFound, "There is no certificate %s.", id)
	}
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.certificates[id] = e.Value
	return e.Value, nil
}
