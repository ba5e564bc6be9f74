// Package reaper ends processes together with all that they have started.
//
// Who has started what is known in two ways. A process's descendants are found by
// their parents, in /proc. One whose parent has ended belongs to nobody there, so
// every worker has a mark in its environment (MarkEnv), which whatever it starts
// inherits, in however many generations and sessions.
//
// Guarantees: a signal reaches the very process that was chosen, never another
// that got its pid; a call returns when none is left, or says that some are. Out
// of reach is a process that has both lost its parent and removed the mark, or
// that runs as a user whom the caller can neither read nor signal; only a cgroup
// covers these.
package reaper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// MarkEnv is the environment variable with the mark of the worker to which a
// process belongs. Scripts may read it, and processes that they start should keep
// it.
const MarkEnv = "CPULB_WORKER"

// ErrSurvivors is matched when processes are left at the end of the context:
// they start others faster than they can be ended, or the kernel can't end them.
var ErrSurvivors = errors.New("processes survive")

// KillTree ends all descendants of the process root, and all that carry mark with
// all of their descendants. root itself and the caller are spared. A root that
// goes on starting processes should be stopped (SIGSTOP) before, or be the caller.
func KillTree(ctx context.Context, root int, mark string) error {
	return kill(ctx, func(t table) []process {
		t = t.since(t.began(root))
		roots := t.marked(func(m string) bool { return m == mark && mark != "" })
		return t.tree(append(roots, process{pid: root}), root)
	})
}

// KillMarked ends all processes with a mark for which is returns true, and all of
// their descendants. The caller is spared. since is when the first of them can
// have begun; the earlier that is, the more processes have to be looked at.
func KillMarked(ctx context.Context, since Moment, is func(mark string) bool) error {
	return kill(ctx, func(t table) []process {
		t = t.since(since)
		return t.tree(t.marked(is), 0)
	})
}

// kill ends whom choose chooses until that is nobody: the processes that one look
// at /proc finds may have started others meanwhile.
func kill(ctx context.Context, choose func(table) []process) error {
	spared := map[process]bool{} // not ours to signal
	for {
		t, err := look()
		if err != nil {
			return err
		}
		chosen := slices.DeleteFunc(choose(t), func(p process) bool { return spared[p] })
		if len(chosen) == 0 {
			return nil
		}
		if err := killAll(ctx, chosen, spared); err != nil {
			return err
		}
	}
}

func killAll(ctx context.Context, chosen []process, spared map[process]bool) error {
	var ending []int // pidfds
	defer func() {
		for _, fd := range ending {
			unix.Close(fd)
		}
	}()
	for _, p := range chosen {
		fd, err := p.kill()
		switch {
		case err == nil:
			ending = append(ending, fd)
		case errors.Is(err, unix.EPERM):
			spared[p] = true
		case !errors.Is(err, unix.ESRCH):
			return fmt.Errorf("%w: process %d: %w", ErrSurvivors, p.pid, err)
		}
	}
	if !wait(ctx, ending) {
		return fmt.Errorf("%w: %d of them, the first is %d", ErrSurvivors, len(chosen), chosen[0].pid)
	}
	return nil
}

// kill sends SIGKILL, see signal.
func (p process) kill() (fd int, err error) { return p.signal(unix.SIGKILL) }

// signal sends a signal and returns a pidfd to wait with. It fails with ESRCH when the process
// has ended.
func (p process) signal(number unix.Signal) (fd int, err error) {
	fd, err = unix.PidfdOpen(p.pid, 0)
	if err != nil {
		return -1, err
	}
	// What has the pid now can be another process only if it began later.
	if now, rerr := read(p.pid); rerr != nil || now.began != p.began {
		err = unix.ESRCH
	}
	if err == nil {
		err = unix.PidfdSendSignal(fd, number, nil, 0)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// wait returns true when all processes have ended, or false at the end of ctx.
func wait(ctx context.Context, pidfds []int) bool {
	for _, fd := range pidfds {
		for {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, remaining(ctx))
			if n > 0 {
				break
			}
			if err != unix.EINTR && (err != nil || ctx.Err() != nil) {
				return false
			}
		}
	}
	return ctx.Err() == nil
}

// step bounds a wait in the kernel, which does not see the context's end.
const step = 50 * time.Millisecond

func remaining(ctx context.Context) (milliseconds int) {
	left := step
	if deadline, ok := ctx.Deadline(); ok {
		left = min(left, time.Until(deadline))
	}
	return int(max(0, left.Milliseconds()) + 1)
}

// Stop keeps a process that is our child, and has not been waited for, from
// running on, so that it starts nothing more while its tree is ended.
func Stop(pid int) { _ = unix.Kill(pid, unix.SIGSTOP) } // an error: it has ended

// self is the caller, which is never chosen.
func self() int { return os.Getpid() }
