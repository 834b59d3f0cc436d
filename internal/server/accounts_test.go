package server_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/rialto-events/rialto/internal/server"
)

// A caller has the key of an account, and asks rialto's own API.
type caller struct {
	base        string
	key, secret string
}

// ask makes a signed request.
func (c caller) ask(t *testing.T, method, path, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, c.base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(body))
	keys := aws.Credentials{AccessKeyID: c.key, SecretAccessKey: c.secret}
	if err := v4.NewSigner().SignHTTP(t.Context(), keys, r, hex.EncodeToString(sum[:]), "events", "eu-west-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

// twoAccounts starts a server with the shop, which has things called crown, and the bank, which has nothing.
func twoAccounts(t *testing.T, allowed ...netip.Prefix) (shop, bank caller) {
	file := filepath.Join(t.TempDir(), "keys")
	keys := "[shop]\naws_access_key_id = AKSHOP\naws_secret_access_key = secret\naws_account_id = 111122223333\n" +
		"[bank]\naws_access_key_id = AKBANK\naws_secret_access_key = hidden\naws_account_id = 444455556666\n"
	if err := os.WriteFile(file, []byte(keys), 0o600); err != nil {
		t.Fatal(err)
	}
	base, _ := start(t, server.Config{Credentials: file, AllowTargets: allowed})
	return caller{base, "AKSHOP", "secret"}, caller{base, "AKBANK", "hidden"}
}

// TestAccountsSeeTheirOwn asks for everything that the native API has, as somebody else than the one whose it is.
func TestAccountsSeeTheirOwn(t *testing.T) {
	shop, bank := twoAccounts(t, netip.MustParsePrefix("127.0.0.1/32"))
	client := events(shop.base, "eu-west-1", shop.key, shop.secret)
	queues := sqs.New(sqs.Options{BaseEndpoint: &shop.base, Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider(shop.key, shop.secret, "")})
	crown := aws.String("crown")
	queue, err := queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: crown})
	if err != nil {
		t.Fatal(err)
	}
	dead := "arn:aws:sqs:eu-west-1:111122223333:crown"
	connection, err := client.CreateConnection(t.Context(), &eventbridge.CreateConnectionInput{
		Name: crown, AuthorizationType: types.ConnectionAuthorizationTypeApiKey, AuthParameters: keyed("one"),
	})
	if err != nil {
		t.Fatal(err)
	}
	destination, err := client.CreateApiDestination(t.Context(), &eventbridge.CreateApiDestinationInput{
		Name: crown, ConnectionArn: connection.ConnectionArn, HttpMethod: types.ApiDestinationHttpMethodPost,
		InvocationEndpoint: aws.String("http://127.0.0.1:1/"),
	})
	if err != nil {
		t.Fatal(err)
	}
	deliverTo(t, client, *destination.ApiDestinationArn, dead)
	put, err := client.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: entries("default")})
	if err != nil {
		t.Fatal(err)
	}
	got, err := queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: queue.QueueUrl, WaitTimeSeconds: 20, VisibilityTimeout: 1})
	if err != nil || len(got.Messages) != 1 {
		t.Fatalf("the dead letters are %v, %v", got, err)
	}
	_, answer := shop.ask(t, "POST", "/_rialto/v1/redrives", `{"queue":"crown","filter":{"code":"NONE"}}`)
	var redrive struct{ ID string }
	if err := json.Unmarshal([]byte(answer), &redrive); err != nil || redrive.ID == "" {
		t.Fatalf("the redrive is %s, %v", answer, err)
	}
	_, answer = bank.ask(t, "GET", "/_rialto/v1/", "")
	var index struct{ Operations []string }
	if err := json.Unmarshal([]byte(answer), &index); err != nil {
		t.Fatal(err)
	}
	ids := map[string]string{"events": *put.Entries[0].EventId, "dead-letters": *got.Messages[0].MessageId, "redrives": redrive.ID, "circuits": url.PathEscape(*destination.ApiDestinationArn)}
	requests := []string{
		"GET /metrics", "GET /_rialto/v1/dead-letters?queue=" + url.QueryEscape(dead),
		"GET /_rialto/v1/tail?bus=" + url.QueryEscape("arn:aws:events:eu-west-1:111122223333:event-bus/default"),
	}
	for _, operation := range index.Operations {
		_, kind, _ := strings.Cut(operation, "/v1/")
		kind, _, _ = strings.Cut(kind, "/")
		if kind == "tail" || kind == "openapi.json" || kind == "" || operation == "POST /_rialto/v1/events" {
			continue
		}
		requests = append(requests, strings.NewReplacer("{id}", ids[kind], "{name}", "crown", "{arn}", ids[kind]).Replace(operation))
	}
	bodies := map[string]string{
		"POST /_rialto/v1/redrives": `{"queue":"` + dead + `"}`, "PUT /_rialto/v1/circuits/" + ids["circuits"]: `{"mode":"open"}`,
		"PUT /_rialto/v1/connections/crown/tls": `{"serverName":"x"}`, "POST /_rialto/v1/redrives/" + redrive.ID + "/rate": `{"rate":1}`,
	}
	for _, request := range requests {
		method, path, _ := strings.Cut(request, " ")
		status, answer := bank.ask(t, method, path, bodies[request])
		own := strings.Contains(path, "/circuits/") // which decides about the bank's own deliveries to there, and nobody else's
		if method != "GET" && status == http.StatusOK && !own || strings.Contains(answer, `"111122223333"`) || strings.Contains(answer, *put.Entries[0].EventId+`",`) {
			t.Errorf("to another account, %s answers %d %s", request, status, answer)
		}
	}
	if _, answer := shop.ask(t, "GET", "/metrics", ""); !strings.Contains(answer, `account="111122223333"`) || !strings.Contains(answer, "rialto_build_info") {
		t.Errorf("to the account itself, the metrics are %s", answer)
	}
	if _, answer := shop.ask(t, "GET", "/_rialto/v1/circuits", ""); !strings.Contains(answer, `"state":"closed"`) || strings.Contains(answer, "bank") {
		t.Errorf("the circuits of the account itself are %s", answer)
	}
}

// TestStrangersDoNotReachLoopback: a server that verifies signatures is for others than those on its machine, though it listens on
// loopback behind a proxy.
func TestStrangersDoNotReachLoopback(t *testing.T) {
	shop, _ := twoAccounts(t)
	client := events(shop.base, "eu-west-1", shop.key, shop.secret)
	_, err := client.CreateConnection(t.Context(), &eventbridge.CreateConnectionInput{
		Name: aws.String("crm"), AuthorizationType: types.ConnectionAuthorizationTypeApiKey, AuthParameters: keyed("one"),
	})
	if err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]string{
		"https://127.0.0.1:1/":    `"failed":"guard","reason":"127.0.0.1 is a loopback address`,
		"HTTPS://localhost:1/":    `"failed":"guard"`,
		"http://192.0.2.1/":       `The url \"http://192.0.2.1/\" is not an HTTPS URL`,
		"https://[::ffff:7f00:1]": `"failed":"guard"`,
	} {
		if _, answer := shop.ask(t, "POST", "/_rialto/v1/connections/crm/test", `{"url":"`+url+`"}`); !strings.Contains(answer, want) {
			t.Errorf("a call to %s: %s, want %s", url, answer, want)
		}
	}
}

// TestALargeBodyIsNotWaitedFor announces more than is taken, and sends nothing of it.
func TestALargeBodyIsNotWaitedFor(t *testing.T) {
	base, _ := start(t, server.Config{})
	conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST /_rialto/v1/redrives HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second)) // a bound for a test that fails
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if answer, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(answer), "more than 8388608 bytes") {
		t.Errorf("%s: %s", resp.Status, answer)
	}
}
