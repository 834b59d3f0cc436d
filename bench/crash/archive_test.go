package main

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	archiveKills = 5
	archivedSize = 2000 // bytes of an event's detail: a segment is sealed every few hundred requests
)

// TestArchivesSurviveKills kills the server while events come in and are sealed into two archives, again and again. After each start the archives
// have what was answered, and at most what was never heard of.
func TestArchivesSurviveKills(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the binary")
	}
	k := newKilled(t)
	k.start(t)
	bus := "arn:aws:events:us-east-1:000000000000:event-bus/default"
	k.aws(t, "AWSEvents.CreateArchive", `{"ArchiveName": "all", "EventSourceArn": "`+bus+`"}`)
	k.aws(t, "AWSEvents.CreateArchive", `{"ArchiveName": "shop", "EventSourceArn": "`+bus+`", "EventPattern": "{\"source\": [\"shop\"]}"}`)

	entry := map[string]string{"Source": "shop", "DetailType": "paid", "Detail": `{"text": "` + strings.Repeat("x", archivedSize) + `"}`}
	entries := make([]map[string]string, 10)
	for i := range entries {
		entries[i] = entry
	}
	body, err := json.Marshal(map[string]any{"Entries": entries})
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{"X-Amz-Target": {"AWSEvents.PutEvents"}, "Content-Type": {"application/x-amz-json-1.1"}}
	var answered, unheard atomic.Int64
	random := rand.New(rand.NewPCG(1, 2))
	for kill := range archiveKills {
		var callers sync.WaitGroup
		for range 4 {
			callers.Go(func() {
				for {
					var answer struct{ FailedEntryCount int64 }
					if k.ask(http.MethodPost, "/", string(body), header, &answer) != nil {
						unheard.Add(int64(len(entries)))
						return
					}
					answered.Add(int64(len(entries)) - answer.FailedEntryCount)
				}
			})
		}
		time.AfterFunc(time.Duration(1000+random.IntN(1500))*time.Millisecond, k.server.Kill)
		<-k.server.Ended()
		callers.Wait()
		k.start(t)
		for _, name := range []string{"all", "shop"} {
			got := int64(k.aws(t, "AWSEvents.DescribeArchive", `{"ArchiveName": "`+name+`"}`)["EventCount"].(float64))
			t.Logf("after kill %d the archive %s has %d events; %d were answered", kill+1, name, got, answered.Load())
			if got < answered.Load() || got > answered.Load()+unheard.Load() {
				t.Fatalf("after kill %d the archive %s has %d events; %d were answered, and of %d nobody has heard", kill+1, name, got,
					answered.Load(), unheard.Load())
			}
		}
	}
}
