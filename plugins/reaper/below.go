package reaper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// nap is what those that have been killed have to end in.
const nap = 200 * time.Microsecond

// KillBelow ends all that is below the caller, a subreaper (prctl(2)) of which no other thread
// waits for children. It calls reap, which waits for those that have ended, some at a time,
// and returns false when there are no others: then nothing is below. Who forks and ends at
// once may be missed by a look, but as long as there are children there is something.
func KillBelow(ctx context.Context, reap func() (some bool)) error {
	for reap() {
		if ctx.Err() != nil {
			return fmt.Errorf("%w: below process %d", ErrSurvivors, self())
		}
		children, err := childrenOf(self())
		if err != nil {
			return KillTree(ctx, self(), "")
		}
		signalAll(children, unix.SIGKILL)
		time.Sleep(nap)
	}
	return nil
}

// SignalBelow sends signals to all that is below the caller, once each. Like KillBelow it is for
// a subreaper. Those that begin meanwhile may be missed.
func SignalBelow(signals ...unix.Signal) error {
	children, err := childrenOf(self())
	for _, s := range signals {
		signalAll(children, s)
	}
	return err
}

// signalAll signals children of the caller and what is below them. The number of a child that
// nobody has waited for is no other's, and they come first: each moment is one in which they
// fork.
func signalAll(children []int, s unix.Signal) {
	for _, pid := range children {
		_ = unix.Kill(pid, s) // it may have ended, or be another user's
	}
	for _, pid := range children {
		for _, p := range below(pid, nil) {
			if fd, err := p.signal(s); err == nil {
				unix.Close(fd)
			}
		}
	}
}

// below adds to all the descendants of a process.
func below(pid int, all []process) []process {
	children, _ := childrenOf(pid) // an error: it has ended, and what was below it is elsewhere
	for _, child := range children {
		if p, err := read(child); err == nil {
			all = below(child, append(all, p))
		}
	}
	return all
}

var errNoLists = errors.New("the kernel does not list children")

// childrenOf lists the children of a process, those that wait for it among them
// (proc_tid_children(5)). That takes less time than others need to fork, as a look at all of
// /proc does not.
func childrenOf(pid int) (all []int, err error) {
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil || len(lists) == 0 {
		return nil, errNoLists
	}
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended
		}
		for field := range strings.FieldsSeq(string(text)) {
			if child, err := strconv.Atoi(field); err == nil {
				all = append(all, child)
			}
		}
	}
	return all, nil
}
