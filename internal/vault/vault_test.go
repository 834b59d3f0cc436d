package vault_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rialto-events/rialto/internal/vault"
)

var (
	secret = []byte(`{"api_key_name":"x-key","api_key_value":"hunter2"}`)
	arn    = []byte("arn:aws:events:eu-west-1:000000000000:connection/shop/1")
)

func open(t testing.TB, dir string) *vault.Vault {
	t.Helper()
	v, err := vault.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func wantOpen(t *testing.T, v *vault.Vault, sealed []byte) {
	t.Helper()
	if got, err := v.Open(sealed, arn); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("opened %q, %v", got, err)
	}
}

func TestSecretsOutliveTheProcess(t *testing.T) {
	dir := t.TempDir()
	sealed := open(t, dir).Seal(secret, arn)
	if bytes.Contains(sealed, []byte("hunter2")) {
		t.Error("the sealed secret is in the clear")
	}
	wantOpen(t, open(t, dir), sealed)
}

func TestTheSameSecretIsSealedDifferentlyEachTime(t *testing.T) {
	v := open(t, t.TempDir())
	if bytes.Equal(v.Seal(secret, arn), v.Seal(secret, arn)) {
		t.Error("two seals are equal: the nonce is not random")
	}
}

func TestEmptySecret(t *testing.T) {
	v := open(t, t.TempDir())
	if got, err := v.Open(v.Seal(nil, nil), nil); err != nil || len(got) != 0 {
		t.Errorf("opened %q, %v", got, err)
	}
}

func TestEveryFlippedBitIsNoticed(t *testing.T) {
	v := open(t, t.TempDir())
	sealed := v.Seal(secret, arn)
	for i := range sealed {
		bad := slices.Clone(sealed)
		bad[i] ^= 1
		if _, err := v.Open(bad, arn); !errors.Is(err, vault.ErrDamaged) && !errors.Is(err, vault.ErrUnknownKey) {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
	for n := range sealed {
		if _, err := v.Open(sealed[:n], arn); !errors.Is(err, vault.ErrDamaged) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
}

func TestASecretIsBoundToItsContext(t *testing.T) {
	v := open(t, t.TempDir())
	if _, err := v.Open(v.Seal(secret, arn), []byte("arn:other")); !errors.Is(err, vault.ErrDamaged) {
		t.Errorf("opened for another connection: %v", err)
	}
}

func TestAForeignSecretNamesTheFileToRestore(t *testing.T) {
	dir := t.TempDir()
	_, err := open(t, dir).Open(open(t, t.TempDir()).Seal(secret, arn), arn)
	if !errors.Is(err, vault.ErrUnknownKey) || !strings.Contains(err.Error(), filepath.Join(dir, "vault.keys")) {
		t.Errorf("got %v", err)
	}
}

func TestRotation(t *testing.T) {
	dir := t.TempDir()
	v := open(t, dir)
	old := v.Seal(secret, arn)
	if err := v.Rotate(); err != nil {
		t.Fatal(err)
	}
	fresh := v.Seal(secret, arn)
	if bytes.Equal(old[:9], fresh[:9]) {
		t.Error("the old key still seals")
	}
	wantOpen(t, v, old)
	wantOpen(t, v, fresh)

	again := open(t, dir)
	wantOpen(t, again, old)
	wantOpen(t, again, fresh)
	if !bytes.Equal(again.Seal(secret, arn)[:9], fresh[:9]) {
		t.Error("after a restart another key than the newest seals")
	}
	if !again.Old(old) || again.Old(fresh) {
		t.Error("it is not known what should be sealed anew")
	}
}

// TestAKeyOfAnotherProcess: processes that share the file open what any of them has sealed.
func TestAKeyOfAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	one, two := open(t, dir), open(t, dir)
	if err := two.Rotate(); err != nil {
		t.Fatal(err)
	}
	sealed := two.Seal(secret, arn)
	wantOpen(t, one, sealed)
	if one.Old(sealed) {
		t.Error("the key that was found does not seal")
	}
}

func TestRotationWhileOthersWork(t *testing.T) {
	v := open(t, t.TempDir())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				wantOpen(t, v, v.Seal(secret, arn))
			}
		})
	}
	wg.Go(func() {
		for range 5 {
			if err := v.Rotate(); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
}

func TestARotationThatCannotBeWrittenChangesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	v := open(t, dir)
	before := v.Seal(secret, arn)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := v.Rotate(); err == nil {
		t.Error("rotated without a directory")
	}
	if !bytes.Equal(v.Seal(secret, arn)[:9], before[:9]) {
		t.Error("a key seals that is not on disk")
	}
}

func TestOnlyTheOwnerMayReadTheKeys(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes mean nothing there")
	}
	dir := t.TempDir()
	open(t, dir)
	file := filepath.Join(dir, "vault.keys")
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the file was made with mode %v", info.Mode())
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := vault.Open(dir); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("opened a file that everybody can read: %v", err)
	}
}

func TestADamagedFileIsNeverReplaced(t *testing.T) {
	for name, text := range map[string]string{
		"empty":     "",
		"no key":    "# nothing here\n",
		"no base64": "hello\n",
		"too short": "aGVsbG8=\n",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "vault.keys")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := vault.Open(dir); err == nil || !strings.Contains(err.Error(), "restore the file") {
				t.Errorf("got %v", err)
			}
			if now, err := os.ReadFile(file); err != nil || string(now) != text {
				t.Errorf("the file is now %q, %v", now, err)
			}
		})
	}
}

func TestAMissingDirectory(t *testing.T) {
	if _, err := vault.Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	v := open(f, f.TempDir())
	f.Add(v.Seal(secret, arn))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, sealed []byte) { v.Open(sealed, arn) })
}
