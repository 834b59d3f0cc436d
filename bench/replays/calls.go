package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

type object = map[string]any

// An archiveState is what the server says of the archive.
type archiveState struct {
	Events, Bytes, Stored int64
	Segments              int
}

// A replayState is what the server says of a replay.
type replayState struct {
	State, Reason                  string
	Paused                         bool
	Expected, Read, Put, Delivered int64
	Started, Ended, Last           time.Time
}

// native calls the server's own API. The error has what it said instead of an answer.
func (t *trial) native(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	resp, err := t.open(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

func (t *trial) open(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, t.site.URL()+"/_rialto/v1/"+path, body)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10)) // the status says something, too
	return nil, fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, text)
}

// get returns a replay as it is now.
func (t *trial) get(ctx context.Context, name string) (r replayState, err error) {
	return r, t.native(ctx, http.MethodGet, "replays/"+url.PathEscape(name), nil, &r)
}

// lastReplayed is what AWS's API says how far a replay is.
func (t *trial) lastReplayed(ctx context.Context, name string) (time.Time, error) {
	var out struct{ EventLastReplayedTime float64 }
	err := t.client.Call(ctx, "AWSEvents.DescribeReplay", object{"ReplayName": name}, &out)
	if out.EventLastReplayedTime == 0 {
		return time.Time{}, err
	}
	return time.Unix(int64(out.EventLastReplayedTime), 0).UTC(), err
}

// kept reads the archive: the numbers of its events in its order, and how many bytes they have.
func (t *trial) kept(ctx context.Context) (numbers []int, size int64, err error) {
	resp, err := t.open(ctx, http.MethodGet, "archives/"+archive+"/export", nil)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		var event struct{ Detail struct{ N int } }
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			return nil, 0, err
		}
		numbers, size = append(numbers, event.Detail.N), size+int64(len(lines.Bytes()))
	}
	return numbers, size, lines.Err()
}

// put puts the events from a number up to another, by several callers at once, and has the archive seal them.
func (t *trial) put(ctx context.Context, first, last int) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var next atomic.Int64
	next.Store(int64(first))
	var callers sync.WaitGroup
	for range putters {
		callers.Go(func() {
			for ctx.Err() == nil {
				from := int(next.Add(atOnce)) - atOnce
				if from >= last {
					return
				}
				if err := t.putSome(ctx, from, min(from+atOnce, last)); err != nil {
					stop(fmt.Errorf("put events: %w", err))
				}
			}
		})
	}
	callers.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var count struct{ Events int }
	err := t.native(ctx, http.MethodGet, "archives/"+archive+"/count", nil, &count)
	if err == nil && count.Events != last {
		err = fmt.Errorf("%d events were put, and the archive has %d", last, count.Events)
	}
	return err
}

func (t *trial) putSome(ctx context.Context, from, to int) error {
	entries := make([]object, 0, atOnce)
	for n := from; n < to; n++ {
		entries = append(entries, object{
			"EventBusName": "live", "Source": "replays", "DetailType": "numbered", "Time": t.timeOf(n).Unix(),
			"Detail": fmt.Sprintf(`{"n":%d,"kind":%d,"noise":"%x","filler":"%s"}`, n, n%kinds, sha256.Sum256([]byte(strconv.Itoa(n))), filler),
		})
	}
	var out struct{ FailedEntryCount int }
	if err := t.client.Call(ctx, "AWSEvents.PutEvents", object{"Entries": entries}, &out); err != nil {
		return err
	}
	if out.FailedEntryCount > 0 {
		return fmt.Errorf("%d of %d events were refused", out.FailedEntryCount, len(entries))
	}
	return nil
}

// arrive waits until so many different events of a replay have come.
func (t *trial) arrive(ctx context.Context, name string, events int) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	seen, looked := make(map[int]bool), 0
	for {
		came, changed := t.witness.of(name)
		for ; looked < len(came); looked++ {
			seen[came[looked].n] = true
		}
		if len(seen) >= events {
			return nil
		}
		timer.Reset(patience)
		select {
		case <-changed:
		case <-timer.C:
			return fmt.Errorf("nothing of %s has arrived for %s, and %d of %d events are there", name, patience, len(seen), events)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ended waits until a replay has ended.
func (t *trial) ended(ctx context.Context, name string) (replayState, error) {
	return t.watch(ctx, name, func(replayState) bool { return false })
}

// watch looks at a replay now and then, until it has ended or has been seen enough of.
func (t *trial) watch(ctx context.Context, name string, enough func(replayState) bool) (replayState, error) {
	var last int64
	for moved := time.Now(); ; {
		r, err := t.get(ctx, name)
		if err != nil || enough(r) || !r.Ended.IsZero() {
			return r, err
		}
		if r.Read > last {
			last, moved = r.Read, time.Now()
		}
		if time.Since(moved) > patience {
			return r, fmt.Errorf("%s has stood still for %s at %d of %d events", name, patience, r.Read, r.Expected)
		}
		if err := pause(ctx, looks); err != nil {
			return r, err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
