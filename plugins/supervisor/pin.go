package supervisor

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Pin lets a worker that runs nothing yet run on other CPUs than it was started on:
// every thread of it, and those that they start. An empty list changes nothing.
func (p *Process) Pin(cpus []int) error {
	p.os.signals.Lock() // the pid is the worker's as long as that is held
	defer p.os.signals.Unlock()
	if p.os.exited {
		return fmt.Errorf("%w: the worker has ended", ErrSpawn)
	}
	if len(cpus) == 0 {
		return nil
	}
	var mask unix.CPUSet
	for _, cpu := range cpus {
		mask.Set(cpu)
	}
	// A thread may be started by one whose turn has not come. So until a look finds
	// none that is new.
	done := map[int]bool{}
	for again := true; again; {
		threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.PID()))
		if err != nil {
			return fmt.Errorf("%w: %w", ErrSpawn, err)
		}
		again = false
		for _, thread := range threads {
			tid, err := strconv.Atoi(thread.Name())
			if err != nil || done[tid] {
				continue
			}
			if err := unix.SchedSetaffinity(tid, &mask); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("%w: sched_setaffinity to CPUs %v: %w", ErrSpawn, cpus, err)
			}
			done[tid], again = true, true
		}
	}
	return nil
}
