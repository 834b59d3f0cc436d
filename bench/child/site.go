package child

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// A Site is where a program runs a server that it kills and starts again: a folder for the data and the log, a binary and an
// address that stay the same. It is not safe for concurrent use.
type Site struct {
	Server  *Process      // the one that was started last; nil before the first
	Slowest time.Duration // the longest that it took to be ready

	folder, binary, address string
	log                     *os.File
	flags                   []string
}

// NewSite makes the folder, whose name shows the given one, and builds the binary if none is given. The flags are for each start.
func NewSite(ctx context.Context, name, binary string, flags ...string) (s *Site, err error) {
	s = &Site{binary: binary, flags: flags}
	if s.folder, err = os.MkdirTemp("", "rialto-"+name+"-"); err != nil {
		return nil, err
	}
	folder := s.folder // whatever is returned
	defer func() {
		if err != nil {
			_ = os.RemoveAll(folder) // the error says more
		}
	}()
	if s.binary == "" {
		if s.binary, err = Build(ctx, s.folder); err != nil {
			return nil, err
		}
	}
	if s.address, err = FreeAddress(); err != nil {
		return nil, err
	}
	if s.log, err = os.Create(filepath.Join(s.folder, "rialto.log")); err != nil {
		return nil, err
	}
	return s, nil
}

// URL is where the server is when it runs.
func (s *Site) URL() string { return "http://" + s.address }

// Data is the data directory of the server.
func (s *Site) Data() string { return filepath.Join(s.folder, "data") }

// Start starts the server and waits until it is ready. The error has the end of its log.
func (s *Site) Start(ctx context.Context) (err error) {
	s.Server, err = Start(ctx, s.binary, s.Data(), s.address, s.log, s.flags...)
	if err != nil {
		return s.WithLog(err)
	}
	s.Slowest = max(s.Slowest, s.Server.Took)
	return nil
}

// Launch starts the server and waits for nothing, for whoever wants to kill it before it is ready.
func (s *Site) Launch(ctx context.Context) (*Process, error) {
	return Launch(ctx, s.binary, s.Data(), s.address, s.log, s.flags...)
}

// WithLog adds the last words of the server to an error.
func (s *Site) WithLog(err error) error {
	const most = 4 << 10
	text, _ := os.ReadFile(s.log.Name()) // the error says enough without
	if len(text) > most {
		text = text[len(text)-most:]
	}
	return fmt.Errorf("%w\nthe end of its log:\n%s", err, text)
}

// Close kills the server and takes the folder away, or keeps it and says where it is.
func (s *Site) Close(out io.Writer, keep bool) error {
	if s.Server != nil {
		s.Server.Kill()
	}
	err := s.log.Close()
	if keep {
		fmt.Fprintf(out, "data and log are kept in %s\n", s.folder)
		return err
	}
	return os.RemoveAll(s.folder)
}
