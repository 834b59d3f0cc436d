// Package logs delivers events to log files: what AWS calls a CloudWatch Logs target is here a file for each log group, in which
// every line is a JSON document.
//
//	FOLDER/ACCOUNT/REGION/orders.jsonl       what is written to
//	FOLDER/ACCOUNT/REGION/orders.jsonl.1     what was written before, the newest first
//
//	{"timestamp":1772359205000,"eventId":"6b1f…","rule":"arn:aws:events:…","message":{"version":"0","id":"6b1f…",…}}
//
// The message is what the target is to receive: JSON as it is, anything else as a string. The time is the event's. An input
// transformer that makes {"timestamp":…,"message":…}, which is what AWS asks of one, decides both.
//
// A line is on the disk when Send returns without an error; lines of sends that run at the same time share a sync. A file that
// has grown to its limit is put aside, and the oldest is removed. A line that a crash has torn is cut off when the file is opened
// again: nobody was told that it was kept. Start with [New].
package logs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/target"
)

// Limits of log files.
const (
	defaultMaxBytes = 64 << 20
	defaultMaxFiles = 8
	maxOpen         = 128     // groups whose files are kept open; that of the one not used for longest is closed
	maxOutput       = 1 << 20 // bytes of [Sender.Output] that wait for the disk; more is thrown away
	maxName         = 200     // bytes of a group's name, so that a file can have it (AWS takes 512 characters)

	// Of a batch. AWS's PutLogEvents takes 10,000 events and 1 MiB; one of rialto's events may be larger than that.
	mostMessages = 1000
	mostBytes    = 4 << 20
)

// Options tunes a Sender. The zero value is ready to use.
type Options struct {
	MaxBytes int64        // of a file, after which the next is begun; 0 is 64 MiB
	MaxFiles int          // of a group, with the one that is being written; 0 is 8
	Logger   *slog.Logger // nil discards
}

// A Sender delivers to log files in a folder, which no other process may write to.
type Sender struct {
	folder  string
	options Options
	flushes sync.WaitGroup

	mu     sync.Mutex
	groups map[string]*group // by path
	used   uint64            // counts uses, so that the group not used for longest can be found
	closed bool
}

var _ target.Batcher = (*Sender)(nil)

// New makes a Sender. The folder is made when the first line is written.
func New(folder string, o Options) *Sender {
	if o.MaxBytes <= 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if o.MaxFiles <= 0 {
		o.MaxFiles = defaultMaxFiles
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Sender{folder: folder, options: o, groups: make(map[string]*group)}
}

// Most bounds a batch.
func (s *Sender) Most(*target.Definition) (messages, bytes int) { return mostMessages, mostBytes }

// Send writes a line.
func (s *Sender) Send(ctx context.Context, m *target.Message) error {
	return s.send(ctx, m.Definition.ARN, appendLine(nil, m))
}

// SendBatch writes a line for each message; either all are kept or none is.
func (s *Sender) SendBatch(ctx context.Context, ms []*target.Message) []error {
	if len(ms) == 0 {
		return nil
	}
	var lines []byte
	for _, m := range ms {
		lines = appendLine(lines, m)
	}
	err := s.send(ctx, ms[0].Definition.ARN, lines)
	if err == nil {
		return nil
	}
	errs := make([]error, len(ms))
	for i := range errs {
		errs[i] = err
	}
	return errs
}

func (s *Sender) send(ctx context.Context, arn string, lines []byte) error {
	scope, name, err := parseGroup(arn)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("write to the log group %s: %w", name, err)
	}
	c, err := s.add(scope, name, lines, true)
	if err != nil {
		return err
	}
	select {
	case <-c.done:
		return failure(name, c.err)
	case <-ctx.Done(): // the disk does not answer; the line may still get there
		return fmt.Errorf("write to the log group %s: %w", name, ctx.Err())
	}
}

// failure says why lines are not kept. Whatever a disk has is worth another attempt: somebody may make room, or mount it again.
func failure(name string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return &target.Error{Code: target.CodeInternal, Cause: err,
			Message: fmt.Sprintf("The log group %s cannot be written to: the disk is full. Make room, or choose another folder with --log-dir.", name)}
	}
	return &target.Error{Code: target.CodeInternal, Message: fmt.Sprintf("The log group %s cannot be written to.", name), Cause: err}
}

var (
	groupName   = regexp.MustCompile(`^[.\-_/#A-Za-z0-9]+$`) // CloudWatch Logs API, CreateLogGroup
	accountName = regexp.MustCompile(`^[0-9]{12}$`)
	regionName  = regexp.MustCompile(`^[a-z0-9-]+$`)
)

// parseGroup takes the ARN of a log group apart. Nothing else can become a path: names hold no character that leads anywhere.
func parseGroup(s string) (rialto.Scope, string, error) {
	arn, err := rialto.ParseARN(s)
	name, ok := strings.CutPrefix(arn.Resource, "log-group:")
	name = strings.TrimSuffix(name, ":*")
	if err != nil || !ok || arn.Service != "logs" || !groupName.MatchString(name) ||
		!accountName.MatchString(string(arn.Account)) || !regionName.MatchString(string(arn.Region)) {
		return rialto.Scope{}, "", &target.Error{Code: target.CodeInvalidParameter, Permanent: true,
			Message: fmt.Sprintf("%s is not the ARN of a log group, such as arn:aws:logs:us-east-1:000000000000:log-group:orders.", s)}
	}
	if len(name) > maxName {
		return rialto.Scope{}, "", &target.Error{Code: target.CodeInvalidParameter, Permanent: true,
			Message: fmt.Sprintf("The name of the log group %.40s… is too long for a file: it can have %d characters.", name, maxName)}
	}
	return arn.Scope(), name, nil
}

// path is the file of a group. A slash becomes a plus, which no name of a group has, so that no two groups share a file.
func (s *Sender) path(scope rialto.Scope, name string) string {
	return filepath.Join(s.folder, string(scope.Account), string(scope.Region), strings.ReplaceAll(name, "/", "+")+".jsonl")
}

// Output writes a line that somebody has printed, such as a function. It waits for nothing: lines that the disk does not take, or not
// fast enough, are lost.
func (s *Sender) Output(scope rialto.Scope, name string, at time.Time, text string) {
	if _, _, err := parseGroup(scope.ARN("logs", "log-group:"+name).String()); err == nil {
		_, _ = s.add(scope, name, appendOutput(nil, at, text), false)
	}
}

var errClosed = &target.Error{Code: target.CodeInternal, Message: "The log files are closed: the server stops."}

// add puts lines to those that the group writes next.
func (s *Sender) add(scope rialto.Scope, name string, lines []byte, sync bool) (*commit, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	path := s.path(scope, name)
	g := s.groups[path]
	if g == nil {
		s.makeRoom()
		g = &group{file: file{path: path, maxBytes: s.options.MaxBytes, maxFiles: s.options.MaxFiles, logger: s.options.Logger}}
		s.groups[path] = g
	}
	s.used++
	g.used = s.used
	return g.add(&s.flushes, lines, sync), nil
}

// makeRoom closes the file of the group that was not used for longest, if there are too many. s.mu is held.
func (s *Sender) makeRoom() {
	for len(s.groups) >= maxOpen {
		var oldest *group
		for _, g := range s.groups {
			if (oldest == nil || g.used < oldest.used) && g.idle() {
				oldest = g
			}
		}
		if oldest == nil {
			return // all are busy, which ends by itself
		}
		oldest.file.close()
		delete(s.groups, oldest.file.path)
	}
}

// Close writes what waits, and closes the files.
func (s *Sender) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.flushes.Wait()
	for _, g := range s.groups {
		g.file.close()
	}
}

// A group gathers lines while its file is being written to.
type group struct {
	file file   // belongs to flush while busy
	used uint64 // guarded by Sender.mu

	mu   sync.Mutex
	next *commit // what is written next; nil if nothing waits
	busy bool
}

// A commit is lines of any number of senders that are written and synced together.
type commit struct {
	lines []byte
	sync  bool // somebody waits for the lines to be on the disk
	done  chan struct{}
	err   error // to be read when done is closed
}

func (g *group) add(flushes *sync.WaitGroup, lines []byte, sync bool) *commit {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.next == nil {
		g.next = &commit{done: make(chan struct{})}
	}
	c := g.next
	if !sync && len(c.lines) > maxOutput {
		return c // the disk is slower than somebody talks
	}
	c.lines = append(c.lines, lines...)
	c.sync = c.sync || sync
	if !g.busy {
		g.busy = true
		flushes.Go(g.flush)
	}
	return c
}

// flush writes until nothing waits.
func (g *group) flush() {
	for {
		g.mu.Lock()
		c := g.next
		g.next, g.busy = nil, c != nil
		g.mu.Unlock()
		if c == nil {
			return
		}
		c.err = g.file.write(c.lines, c.sync)
		close(c.done)
	}
}

func (g *group) idle() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.busy
}
