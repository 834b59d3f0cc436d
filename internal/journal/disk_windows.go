package journal

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// lockFile locks an open file against other processes. The lock ends with the process, however that ends. It covers a byte
// far behind the end, since Windows would keep others from reading what is locked.
func lockFile(f *os.File) (taken bool, err error) {
	at := windows.Overlapped{OffsetHigh: 1 << 20}
	err = windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &at)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return false, nil
	}
	return err == nil, err
}

// syncFolder does nothing: Windows cannot sync a folder, and keeps names in its own journal.
func syncFolder(string) error { return nil }

// volumeOf says how large the volume of a folder is and how much of it is free for us, in bytes.
func volumeOf(path string) (size, free int64, err error) {
	p, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, 0, err
	}
	var avail, total uint64
	if err := windows.GetDiskFreeSpaceEx(p, &avail, &total, nil); err != nil {
		return 0, 0, err
	}
	return int64(total), int64(avail), nil
}
