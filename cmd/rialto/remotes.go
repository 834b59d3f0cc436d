package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/targets/aws"
)

// remotes is the part of the file that says where the services are that rialto does not serve. It is a list with parts of its own,
// so that neither a flag nor a variable could say it.
type remotes []aws.Remote

// remotesKey is its name.
const remotesKey = "remotes"

// A remoteText is a remote as the file writes it.
type remoteText struct {
	Name        string   `json:"name"`
	Accounts    nameList `json:"accounts"`
	Regions     nameList `json:"regions"`
	Services    nameList `json:"services"`
	Endpoint    string   `json:"endpoint"`
	Region      string   `json:"region"`
	Callers     nameList `json:"callers"`
	Credentials struct {
		Profile     string `json:"profile"`
		AccessKeyID secret `json:"access-key-id"`
		Secret      secret `json:"secret-access-key"`
		Token       secret `json:"session-token"`
		Role        string `json:"role"`
	} `json:"credentials"`
}

// A secret is a text or, so that it need not stand in the file, {file: PATH} or {env: NAME}.
type secret string

func (s *secret) UnmarshalJSON(b []byte) error {
	if json.Unmarshal(b, (*string)(s)) == nil {
		return nil
	}
	var from struct {
		File string `json:"file"`
		Env  string `json:"env"`
	}
	if err := strict(b, &from); err != nil || (from.File == "") == (from.Env == "") {
		return fmt.Errorf("it is a text, {file: PATH} or {env: NAME}")
	}
	if from.Env != "" {
		*s = secret(os.Getenv(from.Env))
		if *s == "" {
			return fmt.Errorf("the variable %s is not set", from.Env)
		}
		return nil
	}
	text, err := os.ReadFile(from.File)
	if err != nil {
		return err
	}
	if *s = secret(strings.TrimSpace(string(text))); *s == "" {
		return fmt.Errorf("the file %s is empty", from.File)
	}
	return nil
}

// A nameList is a list of names; "*" is all, and so is no list.
type nameList []string

func (l *nameList) UnmarshalJSON(b []byte) error {
	var all string
	if json.Unmarshal(b, &all) == nil {
		if all != "*" {
			*l = strings.Split(all, ",")
		}
		return nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(b, &list); err != nil {
		return fmt.Errorf(`it is a list, or "*"`)
	}
	for _, item := range list {
		var name string
		if json.Unmarshal(item, &name) != nil {
			name = string(item) // an account that YAML takes for a number
		}
		*l = append(*l, name)
	}
	return nil
}

func strict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// read takes what the file has under "remotes".
func (r *remotes) read(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var list []json.RawMessage
	if err := json.Unmarshal(b, &list); err != nil {
		return fmt.Errorf("it is a list of remotes, each with a name")
	}
	for i, item := range list {
		var text remoteText
		if err := strict(item, &text); err != nil {
			return fmt.Errorf("remote %d: %w", i+1, err)
		}
		one, err := text.remote()
		if err != nil {
			return fmt.Errorf("remote %s: %w", cmp.Or(text.Name, fmt.Sprint(i+1)), err)
		}
		*r = append(*r, one)
	}
	return nil
}

func (t *remoteText) remote() (aws.Remote, error) {
	for _, list := range []nameList{t.Accounts, t.Callers} {
		for _, account := range list {
			if len(account) != 12 || strings.Trim(account, "0123456789") != "" {
				return aws.Remote{}, fmt.Errorf("%q is no account of twelve digits; put quotes around one that begins with 0", account)
			}
		}
	}
	c := t.Credentials
	r := aws.Remote{
		Name: t.Name, Accounts: typed[rialto.AccountID](t.Accounts), Regions: typed[rialto.Region](t.Regions), Services: t.Services,
		Endpoint: t.Endpoint, Region: rialto.Region(t.Region), Callers: typed[rialto.AccountID](t.Callers),
		Credentials: aws.Credentials{
			AccessKeyID: string(c.AccessKeyID), SecretAccessKey: string(c.Secret), SessionToken: string(c.Token), Profile: c.Profile, Role: c.Role,
		},
	}
	return r, r.Check()
}

func typed[S ~string](list []string) []S {
	var out []S
	for _, s := range list {
		out = append(out, S(s))
	}
	return out
}

// String shows the remotes without their secrets.
func (r remotes) String() string {
	parts := make([]string, len(r))
	for i, one := range r {
		parts[i] = one.String()
	}
	return strings.Join(parts, "; ")
}
