package supervisor

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// spawner starts processes from one OS thread of its own, because a child
// inherits the CPU affinity of the thread that forks it: so it is pinned before
// it executes, and every thread that it ever makes is, too.
type spawner struct {
	requests chan request
	done     chan struct{}
}

type request struct {
	cmd   *exec.Cmd
	cpus  []int
	reply chan error
}

var errSpawnerClosed = errors.New("the spawner is closed")

func newSpawner() *spawner {
	s := &spawner{requests: make(chan request), done: make(chan struct{})}
	go s.run()
	return s
}

// run never unlocks its thread: one whose affinity was changed must not go back
// to other goroutines.
func (s *spawner) run() {
	runtime.LockOSThread()
	var daemons unix.CPUSet
	err := unix.SchedGetaffinity(0, &daemons)
	for {
		select {
		case r := <-s.requests:
			if err != nil {
				r.reply <- fmt.Errorf("sched_getaffinity: %w", err)
				continue
			}
			r.reply <- spawn(r.cmd, mask(r.cpus, daemons))
		case <-s.done:
			return
		}
	}
}

// start starts cmd on the given CPUs; nil means on those of the daemon.
func (s *spawner) start(cmd *exec.Cmd, cpus []int) error {
	r := request{cmd, cpus, make(chan error, 1)}
	select {
	case s.requests <- r:
		return <-r.reply
	case <-s.done:
		return errSpawnerClosed
	}
}

func (s *spawner) close() { close(s.done) }

func mask(cpus []int, daemons unix.CPUSet) *unix.CPUSet {
	if len(cpus) == 0 {
		return &daemons
	}
	var m unix.CPUSet
	for _, cpu := range cpus {
		m.Set(cpu)
	}
	return &m
}

func spawn(cmd *exec.Cmd, cpus *unix.CPUSet) error {
	if err := unix.SchedSetaffinity(0, cpus); err != nil {
		return fmt.Errorf("sched_setaffinity: %w", err)
	}
	return cmd.Start()
}
