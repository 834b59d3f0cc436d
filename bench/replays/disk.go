package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// segments is what the path of a file has in which the journal keeps segments of archives.
const segments = "rialto-blob-history"

// usage is how many bytes files take on the disk, all in a folder, and those that have segments.
func usage(folder string) (all, archived int64, err error) {
	err = filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return nil
		}
		all += info.Size()
		if strings.Contains(path, segments) {
			archived += info.Size()
		}
		return nil
	})
	return all, archived, err
}

// segmentFiles are the files in which the journal keeps segments.
func segmentFiles(folder string) (files []string, err error) {
	err = filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.Contains(path, segments) && filepath.Ext(path) == ".blk" {
			files = append(files, path)
		}
		return err
	})
	return files, err
}

// flip changes a bit of a file.
func flip(file string, at int64) error {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		return err
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b[:], at); err != nil {
		return err
	}
	return f.Close()
}

// resident is the memory of a process in bytes, as Linux tells it; 0 where it is not known.
func resident(pid int) (bytes int64) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		var kB int64
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kB); n == 1 {
			return kB << 10
		}
	}
	return 0
}

// processor is how long a process has used processors, as Linux tells it; 0 where it is not known.
func processor(pid int) time.Duration {
	const tick = 10 * time.Millisecond // USER_HZ, which is 100 on every machine that Go runs on
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(stat), ") ") // the name of the program, which may have spaces
	fields := strings.Fields(after)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64) // proc(5) says that it is a number
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * tick
}

// mb is bytes for people.
func mb(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }
