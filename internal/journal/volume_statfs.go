//go:build linux || darwin || freebsd

package journal

import "syscall"

// volumeOf says how large the volume of a folder is and how much of it is free for us, in bytes.
func volumeOf(path string) (size, free int64, err error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
		return 0, 0, err
	}
	return int64(st.Blocks) * int64(st.Bsize), int64(st.Bavail) * int64(st.Bsize), nil
}
