package supervisor

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrSpawn is matched when it was the system that did not let a worker start, not
// its program: no CPU of the mask, no process more, a limit out of reach.
var ErrSpawn = errors.New("the worker could not be started")

// spawn starts cmd from an OS thread made for it, because a child inherits CPU
// affinity, nice value, I/O priority and privileges from the thread that forks it: so they
// hold before it executes, and for every thread that it ever makes. The thread
// ends with the start, for nothing else must run under these.
//
// A stopped worker could not see that the daemon has gone. So its end continues
// it: the kernel sends Pdeathsig at the end of the forking thread, and once more
// at the end of whichever thread of ours has become its parent then, the last one
// included. To a worker that runs SIGCONT means nothing.
func spawn(cmd *exec.Cmd, spec *Spec) error {
	cmd.SysProcAttr.Pdeathsig = syscall.SIGCONT
	return onOwnThread(func() error { return spawnHere(cmd, spec) })
}

// onOwnThread calls f on an OS thread that ends with it. That can't be the first
// one, which never ends and whose properties pass for those of the process.
func onOwnThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == os.Getpid() {
			done <- onOwnThread(f) // elsewhere, for we are here
			runtime.UnlockOSThread()
			return
		}
		done <- f() // never unlocked: so the thread ends
	}()
	return <-done
}

func spawnHere(cmd *exec.Cmd, spec *Spec) error {
	if cpus := spec.CPUs; len(cpus) > 0 {
		var mask unix.CPUSet
		for _, cpu := range cpus {
			mask.Set(cpu)
		}
		if err := unix.SchedSetaffinity(0, &mask); err != nil {
			return fmt.Errorf("%w: sched_setaffinity to CPUs %v: %w", ErrSpawn, cpus, err)
		}
	}
	if err := spec.Limits.setOnThread(); err != nil {
		return err
	}
	if !spec.Privileged {
		dropAmbient()
	}
	if spec.User != nil {
		if err := spec.User.become(cmd.SysProcAttr); err != nil {
			return err
		}
	}
	err := cmd.Start()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOEXEC), errors.Is(err, unix.EACCES), errors.Is(err, unix.ENOENT):
		return fmt.Errorf("%w: %w", ErrNotExecutor, err) // no program, or its #! names none
	default:
		return fmt.Errorf("%w: %w", ErrSpawn, err)
	}
}
