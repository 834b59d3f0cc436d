package aws_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rialto-events/rialto"
	wire "github.com/rialto-events/rialto/internal/aws"
	remote "github.com/rialto-events/rialto/internal/targets/aws"
	"github.com/rialto-events/rialto/target"
)

// A tokenService is SNS and STS in one. It gives out keys that it then takes, or not any more.
type tokenService struct {
	*httptest.Server
	t *testing.T

	mu      sync.Mutex
	assumed []string // roles
	signed  []string // access keys of what was published
	refuse  int      // how many of the next messages are refused because the key has expired
}

const roles = "arn:aws:iam::111122223333:role/"

func startTokens(t *testing.T) *tokenService {
	s := &tokenService{t: t}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *tokenService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	if form := string(body); strings.Contains(form, "Action=AssumeRole") {
		s.sts(w, form)
		return
	}
	keys := []wire.AccessKey{{ID: accessKey, Secret: secretKey, Account: account}, {ID: "PROFILEKEY", Secret: "profile", Account: account}, {ID: account, Secret: "rialto", Account: account}}
	for i := range s.assumed {
		keys = append(keys, wire.AccessKey{ID: fmt.Sprintf("ASIA%d", i+1), Secret: "assumed", Token: "token", Account: account})
	}
	if _, err := wire.Identify(r, wire.NewSigV4(keys, nil), body); err != nil {
		s.t.Errorf("the signature: %v", err)
	}
	_, key, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	key, _, _ = strings.Cut(key, "/")
	s.signed = append(s.signed, key)
	if s.refuse > 0 {
		s.refuse--
		w.WriteHeader(403)
		fmt.Fprint(w, `<ErrorResponse><Error><Code>ExpiredToken</Code><Message>The security token included in the request is expired</Message></Error></ErrorResponse>`)
		return
	}
	fmt.Fprint(w, `<PublishResponse><PublishResult><MessageId>1</MessageId></PublishResult></PublishResponse>`)
}

func (s *tokenService) sts(w http.ResponseWriter, form string) {
	if strings.Contains(form, "forbidden") {
		w.WriteHeader(403)
		fmt.Fprint(w, `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>`)
		return
	}
	if strings.Contains(form, "broken") {
		w.WriteHeader(500)
		fmt.Fprint(w, `<ErrorResponse><Error><Type>Receiver</Type><Code>InternalFailure</Code><Message>no</Message></Error></ErrorResponse>`)
		return
	}
	_, role, _ := strings.Cut(form, "role%2F")
	role, _, _ = strings.Cut(role, "&")
	s.assumed = append(s.assumed, role)
	fmt.Fprintf(w, `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials><AccessKeyId>ASIA%d</AccessKeyId>
		<SecretAccessKey>assumed</SecretAccessKey><SessionToken>token</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration></Credentials>
		<AssumedRoleUser><AssumedRoleId>x</AssumedRoleId><Arn>x</Arn></AssumedRoleUser></AssumeRoleResult></AssumeRoleResponse>`, len(s.assumed))
}

// send publishes a message for a target that names a role.
func (s *tokenService) send(t *testing.T, sender *remote.Sender, role string) error {
	d := definition("arn:aws:sns:eu-west-1:111122223333:topic")
	d.RoleARN = role
	return sender.Send(t.Context(), message(d, "{}"))
}

func TestCredentials(t *testing.T) {
	dir := t.TempDir()
	shared := filepath.Join(dir, "credentials")
	if err := os.WriteFile(shared, []byte("[work]\naws_access_key_id = PROFILEKEY\naws_secret_access_key = profile\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", shared)
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	static := remote.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}
	withRole := static
	withRole.Role = roles + "fixed"
	targetRole := static
	targetRole.Role = remote.TargetRole
	for _, tc := range []struct {
		name        string
		credentials remote.Credentials
		signed      string
		assumed     []string
	}{
		{"keys", static, accessKey, nil},
		{"a profile", remote.Credentials{Profile: "work"}, "PROFILEKEY", nil},
		{"an emulator that asks for none", remote.Credentials{}, account, nil},
		{"a role", withRole, "ASIA1", []string{"fixed"}},
		{"the role of the target", targetRole, "ASIA1", []string{"mine"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := startTokens(t)
			sender := remote.New([]remote.Remote{{Name: "x", Services: []string{"sns"}, Endpoint: s.URL, Credentials: tc.credentials}}, remote.Options{})
			defer sender.Close()
			for range 2 { // the second time from memory
				if err := s.send(t, sender, roles+"mine"); err != nil {
					t.Fatal(err)
				}
			}
			if fmt.Sprint(s.signed) != fmt.Sprint([]string{tc.signed, tc.signed}) || fmt.Sprint(s.assumed) != fmt.Sprint(tc.assumed) {
				t.Errorf("signed by %v, assumed %v; want %s and %v", s.signed, s.assumed, tc.signed, tc.assumed)
			}
		})
	}
}

// TestExpiredCredentials: those that are refused because they have expired are not used again.
func TestExpiredCredentials(t *testing.T) {
	s := startTokens(t)
	sender := remote.New([]remote.Remote{{Name: "x", Services: []string{"sns"}, Endpoint: s.URL,
		Credentials: remote.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey, Role: remote.TargetRole}}}, remote.Options{})
	defer sender.Close()
	s.refuse = 1
	if err := s.send(t, sender, roles+"mine"); err == nil || target.Permanent(err) {
		t.Errorf("with a token that has expired: %v", err)
	}
	if err := s.send(t, sender, roles+"mine"); err != nil {
		t.Errorf("the next attempt: %v", err)
	}
	if got := fmt.Sprint(s.signed); got != "[ASIA1 ASIA2]" {
		t.Errorf("signed by %s", got)
	}
}

// TestRenewedFiles: a tool outside has renewed what is in the shared files.
func TestRenewedFiles(t *testing.T) {
	shared := filepath.Join(t.TempDir(), "credentials")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", shared)
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	write := func(key, secret string) {
		if err := os.WriteFile(shared, []byte("[work]\naws_access_key_id = "+key+"\naws_secret_access_key = "+secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := startTokens(t)
	s.refuse = 1
	sender := remote.New([]remote.Remote{{Name: "x", Services: []string{"sns"}, Endpoint: s.URL, Credentials: remote.Credentials{Profile: "work"}}}, remote.Options{})
	defer sender.Close()
	write(accessKey, secretKey)
	if err := s.send(t, sender, ""); err == nil || target.Permanent(err) {
		t.Errorf("with keys that have expired: %v", err)
	}
	write("PROFILEKEY", "profile")
	if err := s.send(t, sender, ""); err != nil {
		t.Error(err)
	}
	if got := fmt.Sprint(s.signed); got != "["+accessKey+" PROFILEKEY]" {
		t.Errorf("signed by %s", got)
	}
}

func TestNoCredentials(t *testing.T) {
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	s := startTokens(t)
	for _, tc := range []struct {
		name        string
		credentials remote.Credentials
		role        string
		code        string
		permanent   bool
	}{
		{"a role that may not be assumed", remote.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey, Role: remote.TargetRole}, "forbidden", target.CodeAssumeRole, true},
		{"a token service that is down", remote.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey, Role: remote.TargetRole}, "broken", target.CodeTransientAssume, false},
		{"a profile that is not there", remote.Credentials{Profile: "nobody"}, "x", target.CodeNoPermissions, false},
	} {
		sender := remote.New([]remote.Remote{{Name: "x", Services: []string{"sns"}, Endpoint: s.URL, Credentials: tc.credentials}}, remote.Options{})
		err := s.send(t, sender, roles+tc.role)
		e, ok := errors.AsType[*target.Error](err)
		if !ok || e.Code != tc.code || e.Permanent != tc.permanent || strings.Contains(e.Message, secretKey) {
			t.Errorf("%s: got %#v", tc.name, err)
		}
		sender.Close()
	}
}

func TestRemotesThatCannotBe(t *testing.T) {
	for says, r := range map[string]remote.Remote{
		"A remote needs a name.":                          {},
		"is not a URL such as":                            {Name: "x", Endpoint: "localhost:1"},
		`cannot have the service "s3"`:                    {Name: "x", Services: []string{"s3"}},
		"needs both an access key and its secret":         {Name: "x", Credentials: remote.Credentials{AccessKeyID: "x"}},
		"has both an access key and a profile":            {Name: "x", Credentials: remote.Credentials{AccessKeyID: "x", SecretAccessKey: "y", Profile: "z"}},
		`is neither the ARN of one nor the word "target"`: {Name: "x", Credentials: remote.Credentials{Role: "x"}},
	} {
		if err := r.Check(); rialto.KindOf(err) != rialto.Invalid || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: got %v, want %s", r, err, says)
		}
	}
	full := remote.Remote{Name: "x", Accounts: []rialto.AccountID{"1"}, Credentials: remote.Credentials{AccessKeyID: "id", SecretAccessKey: "hidden", SessionToken: "hidden"}}
	if got := full.String(); got != "x accounts=1 access-key-id=id" {
		t.Errorf("a remote is written as %s", got)
	}
}

// TestTokensOfSessionsAreNotShown: AWS quotes the token of a session when a signature does not match, and others may quote it at any
// time. Whose rule it is must not learn it.
func TestTokensOfSessionsAreNotShown(t *testing.T) {
	for _, status := range []int{200, 403} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			fmt.Fprintf(w, `<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code><Message>The Canonical String should have been x-amz-security-token:%s</Message></Error></ErrorResponse>`,
				r.Header.Get("X-Amz-Security-Token"))
		}))
		defer s.Close()
		keys := remote.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey, SessionToken: "the/t0ken+of=it"}
		sender := remote.New([]remote.Remote{{Name: "x", Services: []string{"sns"}, Endpoint: s.URL, Credentials: keys}}, remote.Options{})
		defer sender.Close()
		m := message(definition("arn:aws:sns:eu-west-1:111122223333:topic"), "{}")
		err := sender.Send(t.Context(), m)
		shown := fmt.Sprint(m.Answer.Head, " ", err)
		if strings.Contains(shown, keys.SessionToken) || !strings.Contains(shown, "x-amz-security-token:[redacted]") {
			t.Errorf("%d shows %s", status, shown)
		}
	}
}
