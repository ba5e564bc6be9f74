package supervisor

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Pin moves an idle worker to other CPUs: all its threads, and those that they start.
// An empty list changes nothing.
func (p *Process) Pin(cpus []int) error {
	p.os.signals.Lock() // while it is held, the pid can't be reused
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
	// A thread that has not been moved yet may start another. So repeat until there is
	// no new one.
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
