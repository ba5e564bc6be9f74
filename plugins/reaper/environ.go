package reaper

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// environ reads the environment with which a process was executed. All threads have the same,
// but it is not to be had from one that has ended, as the first may have before the others.
func environ(pid int) ([]byte, error) {
	proc := fmt.Sprintf("/proc/%d", pid)
	content, err := environIn(proc)
	if len(content) > 0 || errors.Is(err, unix.EACCES) {
		return content, err
	}
	threads, derr := os.ReadDir(proc + "/task")
	if derr != nil {
		return nil, derr
	}
	for _, thread := range threads {
		if thread.Name() == strconv.Itoa(pid) {
			continue
		}
		if content, terr := environIn(proc + "/task/" + thread.Name()); len(content) > 0 {
			return content, terr
		}
	}
	return content, err
}

// environIn reads the environment in the folder of a process or thread. One of another user may
// be read by who has CAP_SYS_PTRACE; a daemon that may only become others asks as its owner.
func environIn(folder string) ([]byte, error) {
	path := folder + "/environ"
	content, err := os.ReadFile(path)
	if !errors.Is(err, unix.EACCES) {
		return content, err
	}
	info, serr := os.Stat(folder)
	if serr != nil {
		return nil, serr
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	// Root's is not for a daemon that is not root, and the way back from root's user costs the
	// thread its capabilities for files (capabilities(7), effect of user ID changes).
	if !ok || int(owner.Uid) == os.Geteuid() || owner.Uid == 0 {
		return nil, err
	}
	return readAs(int(owner.Uid), int(owner.Gid), path)
}

// readAs reads a file with the rights of another user, if this process may become that one.
// It changes the user of one thread, and for file systems alone (credentials(7), ptrace(2) on
// access checks): with any other of the ids that user could signal the thread.
func readAs(uid, gid int, path string) (content []byte, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	wasUID, wasGID := fsuid(-1), fsgid(-1)
	defer func() { fsuid(wasUID); fsgid(wasGID) }() // back to its own is always allowed
	fsgid(gid)
	fsuid(uid)
	if fsuid(-1) != uid || fsgid(-1) != gid {
		return nil, unix.EPERM
	}
	return os.ReadFile(path)
}

// fsuid sets the thread's user for file systems, if it may, and returns the one before; -1
// sets none. It reports no error (setfsuid(2)).
func fsuid(uid int) (before int) { before, _ = unix.SetfsuidRetUid(uid); return before }

func fsgid(gid int) (before int) { before, _ = unix.SetfsgidRetGid(gid); return before }
