package logs

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
)

// A file is the file of a log group, with those that it was before. It holds whole lines only:
//
//	┌────────┬────────┬───────────────┐
//	│ line ⏎ │ line ⏎ │ what is torn  │ ◄─ cut off when the file is opened, and when a write fails
//	└────────┴────────┴───────────────┘
//	                  ▲ size
type file struct {
	path     string
	maxBytes int64
	maxFiles int
	logger   *slog.Logger

	open *os.File // nil until it is needed, and after an error
	size int64
}

// repairStep is how many bytes are searched at once for the end of the last whole line.
const repairStep = 64 << 10

// write appends lines; with sync they are on the disk when it returns without an error. With an error none of them is there.
func (f *file) write(lines []byte, sync bool) error {
	if err := f.prepare(int64(len(lines))); err != nil {
		return err
	}
	_, err := f.open.Write(lines)
	if err == nil && sync {
		err = f.open.Sync()
	}
	if err != nil {
		_ = f.open.Truncate(f.size) // should it fail, opening the file again sees to it
		f.close()
		return err
	}
	f.size += int64(len(lines))
	return nil
}

// prepare opens the file, a new one if there is no room for n bytes.
func (f *file) prepare(n int64) error {
	if f.open == nil {
		if err := f.reopen(); err != nil {
			return err
		}
	}
	if f.size == 0 || f.size+n <= f.maxBytes {
		return nil
	}
	f.close()
	if err := f.rotate(); err != nil {
		return err
	}
	return f.reopen()
}

// reopen opens the file, which is made if it is not there, and cuts off what is torn.
func (f *file) reopen() error {
	folder := filepath.Dir(f.path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	open, err := os.OpenFile(f.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	size, err := f.repair(open)
	if err == nil {
		err = syncFolder(folder)
	}
	if err != nil {
		_ = open.Close()
		return err
	}
	f.open, f.size = open, size
	return nil
}

// repair cuts off what follows the last whole line, and returns the size of the file.
func (f *file) repair(open *os.File) (int64, error) {
	size, err := open.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	end, err := lastLine(open, size)
	if err != nil || end == size {
		return size, err
	}
	f.logger.Warn("torn line cut off a log file", "file", f.path, "bytes", size-end)
	if err := open.Truncate(end); err != nil {
		return 0, fmt.Errorf("cut off a torn line: %w", err)
	}
	return end, open.Sync()
}

// lastLine is where the last whole line ends.
func lastLine(r io.ReaderAt, size int64) (int64, error) {
	buf := make([]byte, repairStep)
	for end := size; end > 0; {
		from := max(end-repairStep, 0)
		b := buf[:end-from]
		if _, err := r.ReadAt(b, from); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
			return from + int64(i) + 1, nil
		}
		end = from
	}
	return 0, nil
}

// rotate puts the file aside, and removes the oldest if there are too many. The highest number is the oldest.
func (f *file) rotate() error {
	if f.maxFiles == 1 {
		return os.Remove(f.path)
	}
	for i := f.maxFiles - 1; i > 1; i-- {
		if err := os.Rename(f.numbered(i-1), f.numbered(i)); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return os.Rename(f.path, f.numbered(1))
}

func (f *file) numbered(i int) string { return f.path + "." + strconv.Itoa(i) }

func (f *file) close() {
	if f.open != nil {
		_ = f.open.Close() // what had to be there is synced
		f.open = nil
	}
}
