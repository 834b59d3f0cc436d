package aws

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/rialto-events/rialto"
)

// An AccessKey is who may call, when signatures are verified.
type AccessKey struct {
	ID        string
	Secret    string
	Token     string           // that requests must carry; if empty, whatever session token they carry is passed over
	Account   rialto.AccountID // in whose name the calls are
	Principal string           // ARN
}

// OpenKeys reads a file of access keys; see [ReadKeys].
func OpenKeys(path string) ([]AccessKey, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	keys, err := ReadKeys(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return keys, nil
}

// ReadKeys reads access keys in the format of ~/.aws/credentials, so that the same file serves caller and server:
//
//	# who may call
//	[orders]
//	aws_access_key_id     = AKIAORDERS
//	aws_secret_access_key = wJalrXUtnFEMIK7MDENG
//	aws_account_id        = 111122223333
//
// The section's name is that of the caller: arn:aws:iam::111122223333:user/orders. The account may be left out; then an id of
// twelve digits is the account, and any other id belongs to the default one. aws_session_token, if given, must come with every
// request. region and output are passed over, as clients keep them there; every other name is an error, lest a slip of the pen
// put a caller into another account.
func ReadKeys(r io.Reader) ([]AccessKey, error) {
	var keys []AccessKey
	var key *AccessKey
	var section string
	seen := map[string]bool{}
	finish := func() error {
		if key == nil {
			return nil
		}
		if key.ID == "" || key.Secret == "" {
			return fmt.Errorf("section [%s] needs aws_access_key_id and aws_secret_access_key", section)
		}
		if seen[key.ID] {
			return fmt.Errorf("section [%s] has the access key %s of an earlier section", section, key.ID)
		}
		seen[key.ID] = true
		if key.Account == "" {
			key.Account = accountOf(key.ID)
		}
		key.Principal = rialto.ARN{Partition: rialto.Partition, Service: "iam", Account: key.Account, Resource: "user/" + section}.String()
		keys = append(keys, *key)
		return nil
	}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if name, ok := strings.CutPrefix(line, "["); ok {
			if err := finish(); err != nil {
				return nil, err
			}
			name, ok = strings.CutSuffix(name, "]")
			if section = strings.TrimSpace(name); !ok || section == "" {
				return nil, fmt.Errorf("line %d: a section is written [name]", n)
			}
			key = &AccessKey{}
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok || key == nil {
			return nil, fmt.Errorf("line %d: expected name = value within a [section]", n)
		}
		if err := key.set(strings.TrimSpace(name), strings.TrimSpace(value)); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if err := finish(); err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("there is no access key")
	}
	return keys, nil
}

func (k *AccessKey) set(name, value string) error {
	switch name {
	case "aws_access_key_id":
		k.ID = value
	case "aws_secret_access_key":
		k.Secret = value
	case "aws_session_token":
		k.Token = value
	case "aws_account_id":
		if !isAccount(value) {
			return fmt.Errorf("aws_account_id must have twelve digits")
		}
		k.Account = rialto.AccountID(value)
	case "region", "output":
	default:
		return fmt.Errorf("%s is not a setting of an access key", name)
	}
	return nil
}

// accountOf is the account that an access key belongs to if nothing else is said: itself, if it has twelve digits.
func accountOf(accessKey string) rialto.AccountID {
	if isAccount(accessKey) {
		return rialto.AccountID(accessKey)
	}
	return rialto.DefaultAccount
}
