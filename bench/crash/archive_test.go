package main

import (
	"bufio"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	archiveKills = 5
	archivedSize = 2000 // bytes of an event's detail: a segment is sealed every few hundred requests
)

// TestArchivesSurviveKills kills the server while events come in and are sealed into two archives, again and again. After each start the archives
// have each event that was answered, by its id, once, and beside these at most as many as were never heard of.
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
	var mu sync.Mutex
	answered, unheard := make(map[string]bool), 0
	random := rand.New(rand.NewPCG(1, 2))
	for kill := range archiveKills {
		var callers sync.WaitGroup
		for range 4 {
			callers.Go(func() {
				for {
					var answer struct{ Entries []struct{ EventID string } }
					err := k.ask(http.MethodPost, "/", string(body), header, &answer)
					mu.Lock()
					if err != nil {
						unheard += len(entries)
					}
					for _, e := range answer.Entries {
						if e.EventID != "" {
							answered[e.EventID] = true
						}
					}
					mu.Unlock()
					if err != nil {
						return
					}
				}
			})
		}
		time.AfterFunc(time.Duration(1000+random.IntN(1500))*time.Millisecond, k.server.Kill)
		<-k.server.Ended()
		callers.Wait()
		k.start(t)
		for _, name := range []string{"all", "shop"} {
			count := int(k.aws(t, "AWSEvents.DescribeArchive", `{"ArchiveName": "`+name+`"}`)["EventCount"].(float64))
			got := k.archived(t, name)
			t.Logf("after kill %d the archive %s has %d events; %d were answered, and of %d nobody has heard", kill+1, name, count, len(answered), unheard)
			missing := 0
			for id := range answered {
				if got[id] == 0 {
					missing++
				}
			}
			if missing > 0 || len(got) != count || len(got) > len(answered)+unheard {
				t.Fatalf("after kill %d the archive %s says that it has %d events; %d different ones are in it, and %d of the %d that were answered are not",
					kill+1, name, count, len(got), missing, len(answered))
			}
		}
	}
}

// archived reads an archive: how often each id is in it, which is once.
func (k *killed) archived(t *testing.T, archive string) map[string]int {
	t.Helper()
	resp, err := http.Get("http://" + k.address + "/_rialto/v1/archives/" + archive + "/export")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	ids := make(map[string]int)
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		var event struct{ ID string }
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			t.Fatal(err)
		}
		if ids[event.ID]++; ids[event.ID] > 1 {
			t.Fatalf("the event %s is in the archive %s more than once", event.ID, archive)
		}
	}
	if err := lines.Err(); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("export of the archive %s: %s, %v", archive, resp.Status, err)
	}
	return ids
}
