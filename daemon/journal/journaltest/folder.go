// Package journaltest is for tests that keep a journal.
package journaltest

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	memory = "/dev/shm" // Linux's file system in memory for everybody
	enough = 1 << 30    // bytes; containers may have far less there
)

// Folder is t.TempDir in memory, where there is room: for tests that are not about the disk.
// A disk that is busy takes 100 ms and more for each of their thousands of fdatasyncs. What
// was written there outlives a process that is killed just as well.
func Folder(t testing.TB) string {
	t.Helper()
	var room unix.Statfs_t
	if unix.Statfs(memory, &room) != nil || room.Bavail*uint64(room.Bsize) < enough {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(memory, "cpulb-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}
