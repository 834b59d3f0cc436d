// Package notary signs what topics tell their subscribers, so that these can tell it from what somebody else sends them.
//
// The key is one of this installation: it is made when something is to be signed for the first time, sealed by the vault, and shared by
// all nodes that share a journal. Its certificate nobody else has signed; everybody may read it at the path that comes with each
// signature, and whoever trusts the server's address can trust the certificate that it finds there. A key that the vault cannot open
// any more is replaced by another. Certificates stay, so that what was signed before can still be verified.
//
// Signatures are remembered for a while: one of a message is the same for all its subscribers and at each attempt, and costs a
// millisecond. Start with [New].
package notary

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/journal"
)

// A Vault keeps secrets. What was sealed opens only with the same context. Package vault has one.
type Vault interface {
	Seal(plain, context []byte) []byte
	Open(sealed, context []byte) ([]byte, error)
	Old(sealed []byte) bool
}

// Options tunes a Notary. The zero value is ready to use.
type Options struct {
	Logger *slog.Logger // nil discards
	Clock  rialto.Clock // nil is the system's
}

// A Notary signs. It is safe for concurrent use.
type Notary struct {
	kv    journal.KV
	vault Vault
	log   *slog.Logger
	clock rialto.Clock

	key     atomic.Pointer[key] // nil until it is needed
	opening chan struct{}       // has room for the one who opens or makes the key

	mu           sync.Mutex
	certificates map[string][]byte   // PEM, by the hexadecimal digits of their paths
	fresh, older map[text]*signature // older were fresh before
}

// A text is a hash of what is signed, and how.
type text [sha256.Size]byte

// A signature is one that is made by whoever asks first.
type signature struct {
	once  sync.Once
	value []byte
	err   error
}

// remembered is how many signatures are fresh. As many again are older; together they take a few MB.
const remembered = 4096

// New makes a Notary that keeps its key in a bucket of its own.
func New(kv journal.KV, v Vault, o Options) *Notary {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = rialto.SystemClock
	}
	return &Notary{
		kv: kv, vault: v, log: o.Logger, clock: o.Clock, opening: make(chan struct{}, 1),
		certificates: make(map[string][]byte), fresh: make(map[text]*signature),
	}
}

// Sign signs a text by RSA with PKCS #1 v1.5, over its SHA-1 for version "1" and its SHA-256 for version "2" (SNS developer guide,
// "Verifying the signatures of Amazon SNS messages"). The path is that of the certificate.
func (n *Notary) Sign(ctx context.Context, version string, message []byte) (value []byte, path string, err error) {
	hash := crypto.SHA1
	switch version {
	case "1":
	case "2":
		hash = crypto.SHA256
	default:
		return nil, "", fmt.Errorf("signature version %.20q is neither 1 nor 2", version)
	}
	k, err := n.current(ctx)
	if err != nil {
		return nil, "", err
	}
	s := n.remember(sha256.Sum256(append([]byte(k.path+version), message...)))
	s.once.Do(func() {
		digest := sha256.Sum256(message)
		sum := digest[:]
		if hash == crypto.SHA1 {
			short := sha1.Sum(message) // what AWS signs unless a topic asks for more
			sum = short[:]
		}
		s.value, s.err = rsa.SignPKCS1v15(nil, k.private, hash, sum)
	})
	return s.value, k.path, s.err
}

// remember is the signature of a text, perhaps still to be made.
func (n *Notary) remember(t text) *signature {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s, ok := n.fresh[t]; ok {
		return s
	}
	s, ok := n.older[t]
	if !ok {
		s = new(signature)
	}
	if len(n.fresh) == remembered {
		n.older, n.fresh = n.fresh, make(map[text]*signature)
	}
	n.fresh[t] = s
	return s
}

// Paths of certificates, as AWS has them.
const (
	pathPrefix = "/SimpleNotificationService-"
	pathSuffix = ".pem"
)

// Serve answers those who ask for a certificate, whoever they are, and passes all other requests on.
func (n *Notary) Serve(others http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, ok := strings.CutPrefix(r.URL.Path, pathPrefix)
		id, is := strings.CutSuffix(id, pathSuffix)
		if !ok || !is || r.Method != http.MethodGet && r.Method != http.MethodHead {
			others.ServeHTTP(w, r)
			return
		}
		certificate, err := n.certificate(r.Context(), id)
		switch {
		case rialto.KindOf(err) == rialto.NotFound:
			http.Error(w, "There is no such certificate.", http.StatusNotFound)
		case err != nil:
			n.log.Error("certificate not read", "err", err)
			http.Error(w, "The certificate cannot be read at the moment; try again.", http.StatusServiceUnavailable)
		default:
			w.Header().Set("Content-Type", "application/x-pem-file")
			w.Header().Set("Cache-Control", "public, max-age=86400") // it never changes
			_, _ = w.Write(certificate)                              // an error of the connection is the client's to notice
		}
	})
}
