package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rialto-events/rialto/bench/child"
)

const (
	redrivenLetters = 10_000
	redriveKills    = 4
	redrivePatience = 2 * time.Minute // in the end; it only ever runs out when something is wrong
)

// TestRedriveSurvivesKills kills the server while it brings 10,000 dead letters back, again and again. In the end each is a delivery,
// once. Their target is a port at which nobody listens, so that no delivery ends and all can be counted.
func TestRedriveSurvivesKills(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the binary")
	}
	k := newKilled(t)
	k.start(t)
	k.aws(t, "AmazonSQS.CreateQueue", `{"QueueName": "dead"}`)
	k.aws(t, "AWSEvents.PutRule", `{"Name": "r", "EventPattern": "{\"source\": [\"shop\"]}"}`)
	k.aws(t, "AWSEvents.PutTargets", `{"Rule": "r", "Targets": [{"Id": "t", "Arn": "arn:aws:sqs:us-east-1:000000000000:none",
		"DeadLetterConfig": {"Arn": "arn:aws:sqs:us-east-1:000000000000:dead"}}]}`)
	k.put(t, redrivenLetters)
	var list struct{ Total int }
	k.wait(t, "/dead-letters?queue=dead&limit=1", &list, func() bool { return list.Total == redrivenLetters })

	destination := k.unreachable(t)
	k.aws(t, "AWSEvents.PutTargets", `{"Rule": "r", "Targets": [{"Id": "t", "Arn": "`+destination+`", "RoleArn": "arn:aws:iam::000000000000:role/r"}]}`)
	var r struct {
		ID, Status                             string
		Selected, Moved, Failed, Skipped, Left int
	}
	t.Log("dead letters are there")
	k.native(t, http.MethodPost, "/redrives", `{"queue": "dead"}`, &r)
	random := rand.New(rand.NewPCG(1, 2))
	path := "/redrives/" + r.ID
	for i := range redriveKills {
		part := redrivenLetters * (i + 1) / (redriveKills + 2)
		k.wait(t, path, &r, func() bool { return r.Moved >= part })
		if r.Status != "running" || r.Moved+r.Failed+r.Skipped+r.Left != r.Selected {
			t.Fatalf("before kill %d the redrive is %+v", i+1, r)
		}
		time.AfterFunc(time.Duration(random.IntN(20_000))*time.Microsecond, k.server.Kill)
		<-k.server.Ended()
		k.start(t)
		moved := r.Moved
		k.native(t, http.MethodGet, path, "", &r)
		t.Logf("killed; before %d were moved, after it %d of %d", moved, r.Moved, r.Selected)
		if r.Moved < moved || r.Moved+r.Failed+r.Skipped+r.Left != r.Selected {
			t.Fatalf("after kill %d the redrive is %+v, and %d were moved before", i+1, r, moved)
		}
	}
	k.wait(t, path, &r, func() bool { return r.Status == "completed" })
	if r.Selected != redrivenLetters || r.Moved != redrivenLetters {
		t.Errorf("in the end the redrive is %+v", r)
	}
	k.native(t, http.MethodGet, "/dead-letters?queue=dead&limit=1", "", &list)
	if list.Total != 0 {
		t.Errorf("%d dead letters are left", list.Total)
	}
	var all struct {
		Destinations []struct {
			ARN                    string
			Waiting, InFlight      int
			Settled, Dead, Dropped uint64
		}
	}
	k.native(t, http.MethodGet, "/destinations", "", &all)
	deliveries := 0
	for _, d := range all.Destinations {
		if d.ARN == destination {
			deliveries += d.Waiting + d.InFlight + int(d.Settled+d.Dead+d.Dropped)
		}
	}
	if deliveries != redrivenLetters {
		t.Errorf("%d deliveries came of %d dead letters", deliveries, redrivenLetters)
	}
}

// A killed server is one that is killed and started again.
type killed struct {
	binary, folder, address string
	log                     *os.File
	server                  *child.Process
}

func newKilled(t *testing.T) *killed {
	k := &killed{folder: t.TempDir()}
	var err error
	if k.binary, err = child.Build(t.Context(), k.folder); err != nil {
		t.Fatal(err)
	}
	if k.address, err = child.FreeAddress(); err != nil {
		t.Fatal(err)
	}
	if k.log, err = os.Create(filepath.Join(k.folder, "rialto.log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if k.server != nil {
			k.server.Kill()
		}
		_ = k.log.Close()
		if text, _ := os.ReadFile(k.log.Name()); t.Failed() {
			t.Logf("the end of the log:\n%s", text[max(0, len(text)-4096):])
		}
	})
	return k
}

func (k *killed) start(t *testing.T) {
	t.Helper()
	var err error
	if k.server, err = child.Start(t.Context(), k.binary, filepath.Join(k.folder, "data"), k.address, k.log, shards); err != nil {
		t.Fatal(err)
	}
}

// aws calls an operation of AWS and returns the answer.
func (k *killed) aws(t *testing.T, operation, body string) map[string]any {
	t.Helper()
	kind := "application/x-amz-json-1.1"
	if operation[:9] == "AmazonSQS" {
		kind = "application/x-amz-json-1.0"
	}
	var answer map[string]any
	if err := k.ask(http.MethodPost, "/", body, http.Header{"X-Amz-Target": {operation}, "Content-Type": {kind}}, &answer); err != nil {
		t.Fatalf("%s: %v", operation, err)
	}
	return answer
}

func (k *killed) native(t *testing.T, method, path, body string, answer any) {
	t.Helper()
	if err := k.ask(method, "/_rialto/v1"+path, body, http.Header{}, answer); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
}

func (k *killed) ask(method, path, body string, header http.Header, answer any) error {
	req, err := http.NewRequest(method, "http://"+k.address+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	req.Header = header
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s", resp.Status, b)
	}
	if len(b) == 0 {
		return nil
	}
	return json.Unmarshal(b, answer)
}

// wait asks until the answer is as it should be.
func (k *killed) wait(t *testing.T, path string, answer any, enough func() bool) {
	t.Helper()
	end := time.After(redrivePatience)
	for {
		if k.native(t, http.MethodGet, path, "", answer); enough() {
			return
		}
		select {
		case <-end:
			t.Fatalf("%s is still %+v", path, answer)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// put puts events, by a few callers at once.
func (k *killed) put(t *testing.T, n int) {
	t.Helper()
	var callers sync.WaitGroup
	for c := range 8 {
		callers.Go(func() {
			for from := c * 10; from < n; from += 80 {
				var entries []map[string]string
				for i := from; i < min(from+10, n); i++ {
					entries = append(entries, map[string]string{"Source": "shop", "DetailType": "paid", "Detail": fmt.Sprintf(`{"n": %d}`, i)})
				}
				body, _ := json.Marshal(map[string]any{"Entries": entries}) // strings alone
				var answer struct{ FailedEntryCount int }
				err := k.ask(http.MethodPost, "/", string(body), http.Header{
					"X-Amz-Target": {"AWSEvents.PutEvents"}, "Content-Type": {"application/x-amz-json-1.1"},
				}, &answer)
				if err != nil || answer.FailedEntryCount > 0 {
					t.Errorf("put events: %v, %d failed", err, answer.FailedEntryCount)
				}
			}
		})
	}
	callers.Wait()
}

// unreachable makes an API destination at a port at which nobody listens, and returns its ARN.
func (k *killed) unreachable(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	c := k.aws(t, "AWSEvents.CreateConnection", `{"Name": "c", "AuthorizationType": "API_KEY",
		"AuthParameters": {"ApiKeyAuthParameters": {"ApiKeyName": "k", "ApiKeyValue": "v"}}}`)
	d := k.aws(t, "AWSEvents.CreateApiDestination", fmt.Sprintf(
		`{"Name": "d", "ConnectionArn": %q, "InvocationEndpoint": "http://%s/", "HttpMethod": "POST"}`, c["ConnectionArn"], port))
	return d["ApiDestinationArn"].(string)
}
