package supervisor

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Limits bound what one worker takes from the machine. The zero value changes
// nothing.
type Limits struct {
	// Nice is what setpriority(2) takes, -20 to 19; 0 leaves the daemon's.
	Nice int
	// IO is the priority for disks.
	IO IOPriority
	// OOMScoreAdj says how soon the kernel's OOM killer chooses the worker, -1000 to
	// 1000; 0 leaves the daemon's.
	OOMScoreAdj int
	// MemoryBytes bounds the worker's memory; 0 does not. Process.MemoryLimit says in
	// which way.
	MemoryBytes int64
}

// IOPriority is what ioprio_set(2) takes. The zero value leaves the daemon's.
type IOPriority struct {
	Class IOClass
	// Level is 0 (first) to 7; IOIdle has none.
	Level int
}

// IOClass is a scheduling class of disks.
type IOClass int

// The scheduling classes. IORealtime needs a privilege.
const (
	IORealtime IOClass = iota + 1
	IOBestEffort
	IOIdle
)

// MemoryLimit is the way in which a worker's memory is bounded.
type MemoryLimit string

// The ways to bound memory.
const (
	// MemoryUnlimited: no bound was asked for.
	MemoryUnlimited MemoryLimit = "none"
	// MemoryCgroup: the worker and all that it starts have the bound together; over
	// it, the kernel kills the largest of them.
	MemoryCgroup MemoryLimit = "cgroup"
	// MemoryRlimit: each process has the bound for itself, and asks the kernel in
	// vain for more, which is a MemoryError to Python. Counted from the moment when
	// the worker is ready is what may be written to, touched or not, thread stacks
	// included.
	MemoryRlimit MemoryLimit = "rlimit_data"
)

// ErrLimit is matched when a limit is out of its range or the daemon lacks the
// privilege for it.
var ErrLimit = errors.New("limit can't be set")

// check says which value no kernel would take.
func (l Limits) check() error {
	outside := func(name string, value, least, most int) error {
		if value < least || value > most {
			return fmt.Errorf("%w: %s is %d, allowed are %d to %d", ErrLimit, name, value, least, most)
		}
		return nil
	}
	if l.MemoryBytes < 0 {
		return fmt.Errorf("%w: memory is %d bytes", ErrLimit, l.MemoryBytes)
	}
	return errors.Join(outside("nice", l.Nice, -20, 19), outside("the I/O class", int(l.IO.Class), 0, int(IOIdle)),
		outside("the I/O level", l.IO.Level, 0, 7), outside("oom_score_adj", l.OOMScoreAdj, -1000, 1000))
}

// setOnThread sets what a child inherits from the calling thread.
func (l Limits) setOnThread() error {
	if l.Nice != 0 {
		if err := unix.Setpriority(unix.PRIO_PROCESS, 0, l.Nice); err != nil { // of the thread, on Linux
			return fmt.Errorf("%w: nice %d: %w", ErrLimit, l.Nice, err)
		}
	}
	if l.IO.Class == 0 {
		return nil
	}
	const whoProcess, classShift = 1, 13
	level := l.IO.Level
	if l.IO.Class == IOIdle {
		level = 0
	}
	_, _, errno := unix.Syscall(unix.SYS_IOPRIO_SET, whoProcess, 0, uintptr(int(l.IO.Class)<<classShift|level))
	if errno != 0 {
		return fmt.Errorf("%w: I/O class %d, level %d: %w", ErrLimit, l.IO.Class, l.IO.Level, errno)
	}
	return nil
}

// setOnChild sets what is a process's alone. The process is our child and has not
// been waited for.
func (l Limits) setOnChild(pid int) error {
	if l.OOMScoreAdj == 0 {
		return nil
	}
	// It has started nothing yet that would have the old one.
	err := os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid), strconv.AppendInt(nil, int64(l.OOMScoreAdj), 10), 0)
	if err != nil {
		return fmt.Errorf("%w: oom_score_adj %d: %w", ErrLimit, l.OOMScoreAdj, err)
	}
	return nil
}
