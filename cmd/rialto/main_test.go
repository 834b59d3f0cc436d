package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"rialto": main})
}

// TestStories runs the scripts of testdata. Beside the commands of testscript they know:
//
//	start NAME COMMAND...   starts a process that goes on beside the script
//	await NAME REGEXP       waits until a line that NAME writes, on either output, matches; each line is waited for once
//	end NAME  SIGNAL CODE   sends INT, TERM or KILL, or nothing with WAIT, and waits for NAME to end with that exit code (-1: by the signal)
//	load VARIABLE FILE      sets a variable to the text of a file
//	occupy VARIABLE         sets a variable to a port that somebody listens on
//	call OPERATION JSON     calls an operation of AWS, such as AWSEvents.PutRule or "POST /schedules/nightly", on the server that RIALTO_ENDPOINT names
//	until REGEXP COMMAND... runs a command again and again until what it writes to standard output matches
//	find VARIABLE FILE REGEXP  sets a variable to what the first group of a regular expression finds in a file
//	club VARIABLE           starts a server that asks for a certificate, sets a variable to its address, and writes the files that it takes
//	damage DIR TEXT         changes a byte of TEXT where a data directory has stored it
func TestStories(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "NO_COLOR"} {
				env.Setenv(name, "")
			}
			env.Values[processesKey{}] = map[string]*process{}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"start": start, "await": await, "end": end, "load": load, "occupy": occupy, "damage": damage,
			"call": call, "until": until, "find": find, "club": club,
		},
	})
}

type processesKey struct{}

// patience is how long a story waits for a line or for an end. It only ever runs out when something is wrong.
const patience = 30 * time.Second

// A process runs beside a script.
type process struct {
	cmd   *exec.Cmd
	lines chan string // of both outputs, which may overtake each other; closed at their end
	said  []string    // lines that nobody has waited for
	ended chan error
}

func start(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: start NAME COMMAND...")
	}
	path, err := lookPath(ts.Getenv("PATH"), args[1])
	ts.Check(err)
	p := &process{cmd: exec.Command(path, args[2:]...), lines: make(chan string, 10_000), ended: make(chan error, 1)}
	p.cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "RIALTO_ENDPOINT", "RIALTO_LISTEN", "GOCOVERDIR"} {
		p.cmd.Env = append(p.cmd.Env, name+"="+ts.Getenv(name))
	}
	p.cmd.Env = append(p.cmd.Env, "TMPDIR="+ts.MkAbs("."))
	var readers sync.WaitGroup
	for _, open := range []func() (io.ReadCloser, error){p.cmd.StdoutPipe, p.cmd.StderrPipe} {
		r, err := open()
		ts.Check(err)
		readers.Go(func() {
			for s := bufio.NewScanner(r); s.Scan(); {
				p.lines <- s.Text()
			}
		})
	}
	ts.Check(p.cmd.Start())
	go func() {
		readers.Wait()
		close(p.lines)
		p.ended <- p.cmd.Wait()
	}()
	ts.Value(processesKey{}).(map[string]*process)[args[0]] = p
	ts.Defer(func() { _ = p.cmd.Process.Kill() }) // a story that failed leaves nothing running
}

// lookPath finds a command on a path that is not this process's.
func lookPath(path, name string) (string, error) {
	for _, dir := range filepath.SplitList(path) {
		for _, ext := range []string{"", ".exe"} {
			if p := filepath.Join(dir, name+ext); isFile(p) {
				return p, nil
			}
		}
	}
	return "", exec.ErrNotFound
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func processOf(ts *testscript.TestScript, name string) *process {
	p := ts.Value(processesKey{}).(map[string]*process)[name]
	if p == nil {
		ts.Fatalf("nothing called %s was started", name)
	}
	return p
}

func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await NAME REGEXP")
	}
	p, wanted := processOf(ts, args[0]), regexp.MustCompile(args[1])
	if i := slices.IndexFunc(p.said, wanted.MatchString); i >= 0 {
		p.said = slices.Delete(p.said, i, i+1)
		return
	}
	timeout := time.After(patience)
	for {
		select {
		case line, more := <-p.lines:
			if !more {
				ts.Fatalf("%s ended and said nothing like %q", args[0], args[1])
			}
			ts.Logf("[%s] %s", args[0], line)
			if wanted.MatchString(line) {
				return
			}
			p.said = append(p.said, line)
		case <-timeout:
			ts.Fatalf("%s said nothing like %q for %v", args[0], args[1], patience)
		}
	}
}

func end(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM, "KILL": os.Kill, "WAIT": nil}
	if neg || len(args) != 3 {
		ts.Fatalf("usage: end NAME SIGNAL CODE")
	}
	p := processOf(ts, args[0])
	if s := signals[args[1]]; s != nil {
		ts.Check(p.cmd.Process.Signal(s))
	}
	code, err := strconv.Atoi(args[2])
	ts.Check(err)
	timeout := time.After(patience)
	for {
		select {
		case line, more := <-p.lines:
			if more {
				ts.Logf("[%s] %s", args[0], line)
				continue
			}
			p.lines = nil
		case err := <-p.ended:
			if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
				ts.Fatalf("%s: %v", args[0], err)
			}
			if got := p.cmd.ProcessState.ExitCode(); got != code {
				ts.Fatalf("%s ended with %d, not with %d", args[0], got, code)
			}
			return
		case <-timeout:
			ts.Fatalf("%s did not end within %v", args[0], patience)
		}
	}
}

func load(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: load VARIABLE FILE")
	}
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
}

func call(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: call OPERATION JSON")
	}
	method, path, rest := strings.Cut(args[0], " ")
	if !rest {
		method, path = http.MethodPost, ""
	}
	req, err := http.NewRequest(method, ts.Getenv("RIALTO_ENDPOINT")+path, strings.NewReader(args[1]))
	ts.Check(err)
	switch {
	case rest:
		req.Header.Set("Content-Type", "application/json")
	case strings.HasPrefix(args[0], "AmazonSQS."):
		req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	default:
		req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	}
	if !rest {
		req.Header.Set("X-Amz-Target", args[0])
	}
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if resp.StatusCode != http.StatusOK {
		ts.Fatalf("%s answered %s %s", args[0], resp.Status, b)
	}
}

func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until REGEXP COMMAND...")
	}
	wanted, timeout := regexp.MustCompile("(?m)"+args[0]), time.After(patience)
	for {
		_ = ts.Exec(args[1], args[2:]...) // what it says counts
		if wanted.MatchString(ts.ReadFile("stdout")) {
			return
		}
		select {
		case <-timeout:
			ts.Fatalf("%s said nothing like %q for %v", args[1], args[0], patience)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func find(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: find VARIABLE FILE REGEXP")
	}
	found := regexp.MustCompile(args[2]).FindStringSubmatch(ts.ReadFile(args[1]))
	if len(found) < 2 {
		ts.Fatalf("%s has nothing like %q", args[1], args[2])
	}
	ts.Setenv(args[0], found[1])
}

func occupy(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: occupy VARIABLE")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { l.Close() })
	ts.Setenv(args[0], l.Addr().String())
}

// damage changes the first of what an event says, wherever the journal has it.
func damage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: damage DIR TEXT")
	}
	blocks, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "jetstream", "*", "streams", "*", "msgs", "*.blk"))
	ts.Check(err)
	for _, name := range blocks {
		b, err := os.ReadFile(name)
		ts.Check(err)
		if i := bytes.Index(b, []byte(args[1])); i >= 0 {
			b[i] ^= 1
			ts.Check(os.WriteFile(name, b, 0o600))
			return
		}
	}
	ts.Fatalf("%q is nowhere in %s", args[1], args[0])
}
