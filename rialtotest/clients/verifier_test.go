//go:build clients

package clients

import (
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/rialto-events/rialto/rialtotest"
)

// TestJavaScriptVerifier has AWS's own verifier look at what a topic sends to a web server, of both versions, and at what it sends to a
// function; and at a message that somebody has changed. It gets the certificate by TLS, from a proxy in front of the server.
func TestJavaScriptVerifier(t *testing.T) {
	node, npm := find(t, "node"), find(t, "npm")
	var forward http.Handler
	front := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { forward.ServeHTTP(w, r) }))
	t.Cleanup(front.Close)
	srv := rialtotest.Options{PublicURL: front.URL}.Start(t)
	to, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	forward = httputil.NewSingleHostReverseProxy(to)
	folder := t.TempDir()
	p := &proxy{url: srv.URL, hook: srv.Webhook(t)}
	install := command(t, p, 5*time.Minute, npm, "install", "--prefix", folder, "--no-audit", "--no-fund", "sns-validator@0.3.5")
	if text, err := install.CombinedOutput(); err != nil {
		t.Skipf("the verifier cannot be installed: %v\n%s", err, text)
	}

	bodies := 0
	keep := func(body string) {
		bodies++
		write(t, filepath.Join(folder, strconv.Itoa(bodies)+".json"), []byte(body))
	}
	client := sns.NewFromConfig(srv.AWS())
	for _, version := range []string{"1", "2"} {
		topic, err := client.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("v" + version), Attributes: map[string]string{"SignatureVersion": version}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: topic.TopicArn, Protocol: aws.String("http"), Endpoint: &p.hook.URL})
		if err != nil {
			t.Fatal(err)
		}
		asked := p.hook.Want(t, `{"Type": "SubscriptionConfirmation"}`).Body
		keep(asked)
		resp, err := front.Client().Get(text(t, asked, "SubscribeURL"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		for _, subject := range []*string{nil, aws.String("Greetings")} {
			_, err := client.Publish(t.Context(), &sns.PublishInput{TopicArn: topic.TopicArn, Subject: subject, Message: aws.String("hello\r\n\t\"wörld\" 😀 <&>\u2028")})
			if err != nil {
				t.Fatal(err)
			}
			keep(p.hook.Want(t, `{"Type": "Notification"}`).Body)
		}
	}

	program, err := os.ReadFile(script(t, "verify.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "verify.mjs"), program)
	authority := filepath.Join(folder, "authority.pem")
	write(t, authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw}))
	cmd := command(t, p, 2*time.Minute, node, filepath.Join(folder, "verify.mjs"), strconv.Itoa(bodies))
	cmd.Env = append(cmd.Env, "NODE_EXTRA_CA_CERTS="+authority)
	said, err := cmd.CombinedOutput()
	t.Logf("%s", said)
	if err != nil {
		t.Errorf("verify: %v", err)
	}
}

func write(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// text is a member of a JSON object.
func text(t *testing.T, object, member string) string {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal([]byte(object), &members); err != nil {
		t.Fatal(err)
	}
	s, _ := members[member].(string)
	return s
}
