// Package child builds the binary of rialto and runs it as a process of its own, to be measured or killed.
//
// Start with [Build] and [Start], or with a [Site] for a server that is killed and started again.
package child

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Build builds the binary into a folder and returns its path. It builds as go test does, which has compiled the packages already.
func Build(ctx context.Context, folder string) (string, error) {
	binary := filepath.Join(folder, "rialto")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/rialto-events/rialto/cmd/rialto")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build rialto: %w\n%s", err, out)
	}
	return binary, nil
}

// FreeAddress finds an address on this machine that nobody listens on.
func FreeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// A Process is a server that runs.
type Process struct {
	URL  string
	Took time.Duration // from the start of the process to the line that says that it is ready

	cmd   *exec.Cmd
	began time.Time
	ready chan struct{}
	ended chan struct{}
	err   error // of the end; read it when ended is closed
}

// ErrDied says that a server ended before it was ready.
var ErrDied = errors.New("the server ended before it was ready")

// Start starts the binary, with flags beside those that say where, and waits until it says that it is ready. What it logs goes to
// log. The process ends with ctx.
func Start(ctx context.Context, binary, dataDir, address string, log io.Writer, flags ...string) (*Process, error) {
	p, err := Launch(ctx, binary, dataDir, address, log, flags...)
	if err != nil {
		return nil, err
	}
	select {
	case <-p.ready:
		return p, nil
	case <-p.ended:
		return nil, errors.Join(ErrDied, p.err)
	}
}

// Launch starts the binary and waits for nothing.
func Launch(ctx context.Context, binary, dataDir, address string, log io.Writer, flags ...string) (*Process, error) {
	cmd := exec.CommandContext(ctx, binary, append([]string{"serve", "--listen", address, "--data-dir", dataDir}, flags...)...)
	cmd.Env = environment()
	cmd.Stderr = log
	output, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p := &Process{URL: "http://" + address, cmd: cmd, began: time.Now(), ready: make(chan struct{}), ended: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go p.follow(output)
	return p, nil
}

// follow reads what the process says until it has ended.
func (p *Process) follow(output io.Reader) {
	lines := bufio.NewScanner(output)
	for said := false; lines.Scan(); {
		if !said && lines.Text() == "Ready." {
			said = true
			p.Took = time.Since(p.began)
			close(p.ready)
		}
	}
	p.err = p.cmd.Wait() // after the last line, as exec.Cmd asks
	close(p.ended)
}

// Ended is closed when the process has ended, for whatever reason.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// environment is ours without what would configure the server.
func environment() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "RIALTO_") {
			env = append(env, v)
		}
	}
	return env
}

// Kill ends the process as kill -9 does, and waits until it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may be gone already
	<-p.ended
}

// Stop ends the process in order.
func (p *Process) Stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	<-p.ended
	return p.err
}

// PID is the number of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }
