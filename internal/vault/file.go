package vault

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

const fileHead = `# The keys that seal the secrets of connections, one a line; the last one seals.
# Whoever has this file and the data has the secrets. Without this file they are lost.
`

func fileIn(dir string) string { return filepath.Join(dir, "vault.keys") }

// Exists reports whether a folder has a file of keys.
func Exists(dir string) bool {
	_, err := os.Stat(fileIn(dir))
	return err == nil
}

// readKeys reads the file of keys; none if there is no file. A file that everybody can read is refused. A group may: Kubernetes
// gives the files of a volume to the group of the pod.
func readKeys(file string) ([]key, error) {
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the keys of the vault: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("%s holds the keys of the vault and everybody can read it: chmod 600 it", file)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the keys of the vault: %w", err)
	}
	var keys []key
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		secret, err := base64.StdEncoding.DecodeString(string(line))
		if err != nil || len(secret) != keySize {
			return nil, fmt.Errorf("%s has a line that is no key of %d bytes in base64: restore the file", file, keySize)
		}
		k, err := newKey(secret)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%s has no key: restore the file, or remove it to begin with a new key", file)
	}
	return keys, nil
}

// writeKeys replaces the file of keys: all of it or nothing, and for good.
func writeKeys(file string, keys []key) error {
	text := []byte(fileHead)
	for _, k := range keys {
		text = base64.StdEncoding.AppendEncode(text, k.secret[:])
		text = append(text, '\n')
	}
	if err := replace(file, text); err != nil {
		return fmt.Errorf("write the keys of the vault: %w", err)
	}
	return nil
}

func replace(file string, text []byte) error {
	temp, err := os.CreateTemp(filepath.Dir(file), "vault.keys.*") // with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // finds nothing after the rename
	_, err = temp.Write(text)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp.Name(), file); err != nil {
		return err
	}
	return syncDir(filepath.Dir(file))
}

// syncDir makes a rename outlast the power. Windows cannot, and keeps its own journal.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
