package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"
)

// survives kills the server in the middle of a replay in order, several times, and once in a fast one.
func (t *trial) survives(ctx context.Context) error {
	const name = "killed"
	part := t.part(min(t.events/10, killed))
	if err := t.start(ctx, name, part, toWitness(0)); err != nil {
		return err
	}
	var read int64
	var last time.Time
	for kill := range t.kills {
		if err := t.arrive(ctx, name, (kill+1)*len(part)/(t.kills+1)); err != nil {
			return err
		}
		if err := t.again(ctx); err != nil {
			return err
		}
		r, err := t.get(ctx, name)
		if err != nil {
			return err
		}
		at, err := t.lastReplayed(ctx, name)
		if err != nil {
			return err
		}
		if r.Read < read || at.Before(last) {
			return fmt.Errorf("after a kill, the replay is at %d events and %s; it was at %d and %s", r.Read, at, read, last)
		}
		read, last = r.Read, at
	}
	y, err := t.finish(ctx, name, part)
	if err != nil {
		return fmt.Errorf("after %d kills: %w", t.kills, err)
	}
	t.say("killed %d times in a replay in order: each of %d events was put once and came in order, %d of them twice; ready again in %s at most",
		t.kills, y.events, y.repeats, brief(t.site.Slowest))
	return t.survivesFast(ctx)
}

// survivesFast kills the server in a replay of everything.
func (t *trial) survivesFast(ctx context.Context) error {
	const name = "killed-fast"
	if err := t.start(ctx, name, t.order, object{"rules": []string{"every"}, "target": "void"}); err != nil {
		return err
	}
	kills := 0
	for ; kills < t.kills; kills++ {
		r, err := t.watch(ctx, name, func(r replayState) bool { return r.Read >= int64(kills+1)*r.Expected/int64(t.kills+1) })
		if err != nil {
			return err
		}
		if !r.Ended.IsZero() {
			break
		}
		if err := t.again(ctx); err != nil {
			return err
		}
	}
	r, err := t.ended(ctx, name)
	if err != nil {
		return err
	}
	if n := int64(t.events); r.State != "COMPLETED" || r.Read != n || r.Put != n || r.Delivered != n {
		return fmt.Errorf("after %d kills, %s is %s with %d of %d events read, %d put, %d deliveries", kills, name, r.State, r.Read, n, r.Put, r.Delivered)
	}
	t.say("killed %d times in a fast replay: it has put %d events of %d", kills, r.Put, t.events)
	return nil
}

// again kills the server and starts it again.
func (t *trial) again(ctx context.Context) error {
	t.site.Server.Kill()
	return t.site.Start(ctx)
}

// isDamaged flips a bit of a segment on the disk. It is named, and everything else is replayed.
func (t *trial) isDamaged(ctx context.Context) error {
	text, err := t.spoil(ctx)
	if err != nil {
		return err
	}
	const name = "damaged"
	if err := t.start(ctx, name, t.order, object{"bus": "void"}); err != nil {
		return err
	}
	r, err := t.ended(ctx, name)
	if err != nil {
		return err
	}
	if r.State != "FAILED" || !strings.Contains(r.Reason, "is damaged, with ") || r.Read >= r.Expected {
		return fmt.Errorf("a replay of a damaged archive is %s with %d of %d events read: %q", r.State, r.Read, r.Expected, r.Reason)
	}
	var lost int64
	if _, after, ok := strings.Cut(r.Reason, "is damaged, with "); ok {
		_, _ = fmt.Sscan(after, &lost) // what is no number is 0, and wrong
	}
	if r.Read+lost != r.Expected {
		return fmt.Errorf("of %d events %d were read, and the damage has %d: %s", r.Expected, r.Read, lost, r.Reason)
	}
	t.say("a flipped bit is named, and a replay puts the other %d events: %s", r.Read, text)
	return nil
}

// spoil flips bits until one of them is in a segment that is used, and returns what the server says of it.
func (t *trial) spoil(ctx context.Context) (damage string, err error) {
	for try := range tries {
		if err := t.site.Server.Stop(); err != nil {
			return "", err
		}
		files, err := segmentFiles(t.site.Data())
		if err != nil || len(files) == 0 {
			return "", fmt.Errorf("look for segments on the disk: there are %d files, %w", len(files), err)
		}
		file := files[try%len(files)]
		info, err := os.Stat(file)
		if err != nil {
			return "", err
		}
		at := info.Size() * int64(2*(try/len(files))+1) / 16
		if err := flip(file, at); err != nil {
			return "", err
		}
		if err := t.site.Start(ctx); err != nil {
			return "", err
		}
		err = t.native(ctx, http.MethodGet, "archives/"+archive+"/count?pattern=%7B%22source%22%3A%5B%22replays%22%5D%7D", nil, nil)
		if err != nil {
			if strings.Contains(err.Error(), "is damaged, with ") {
				return err.Error(), nil
			}
			return "", err
		}
		if err := t.site.Server.Stop(); err != nil { // it is as it was
			return "", err
		}
		if err := flip(file, at); err != nil {
			return "", err
		}
		if err := t.site.Start(ctx); err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("%d flipped bits were not found", tries)
}

// givesBack deletes the archive, and looks at the disk.
func (t *trial) givesBack(ctx context.Context) error {
	all, archived, err := usage(t.site.Data())
	if err != nil {
		return err
	}
	if err := t.client.Call(ctx, "AWSEvents.DeleteArchive", object{"ArchiveName": archive}, nil); err != nil {
		return err
	}
	if err := t.site.Server.Stop(); err != nil {
		return err
	}
	if err := t.site.Start(ctx); err != nil {
		return err
	}
	allLeft, left, err := usage(t.site.Data())
	if err != nil {
		return err
	}
	if left > onDiskToo {
		return fmt.Errorf("the archive is deleted, and %s of %s are still on the disk", mb(left), mb(archived))
	}
	t.say("deleted: segments took %s on the disk, and take %s, in files of 8 MiB; all together %s, and %s", mb(archived), mb(left), mb(all), mb(allLeft))
	return nil
}
