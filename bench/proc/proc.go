// Package proc tells what processes cost: their CPU time, their memory, how often they
// were switched, and what they called. A system under test is a set of processes with
// all that descend from them.
package proc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Tree returns the processes and all that descend from them, as they are now.
func Tree(roots ...int) []int {
	children := map[int][]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended meanwhile
		}
		if fields := afterName(text); len(fields) > 1 {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			parent, _ := strconv.Atoi(fields[1])
			children[parent] = append(children[parent], pid)
		}
	}
	all := slices.Clone(roots)
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}

// afterName returns the fields of proc_pid_stat(5) after the name, which may hold
// anything: the first one is the state.
func afterName(stat []byte) []string {
	return strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
}

// Fields of proc_pid_stat(5), counted after the name.
const childrenUser, childrenSystem = 13, 14

// ticks is how many of them proc_pid_stat(5) counts a second, on every architecture
// that Go runs on.
const ticks = 100

// CPU returns the time that the processes have had, their ended threads and the ended
// children that they have waited for included.
func CPU(pids []int) time.Duration {
	var sum time.Duration
	for _, pid := range pids {
		// A process's clock, by clock_getcpuclockid(3): it is true to the nanosecond
		// and counts threads that have ended, both of which files of /proc lack.
		var own unix.Timespec
		if unix.ClockGettime(int32(^pid)<<3|2, &own) != nil {
			continue
		}
		sum += time.Duration(own.Nano())
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		if fields := afterName(text); len(fields) > childrenSystem {
			user, _ := strconv.ParseInt(fields[childrenUser], 10, 64)
			system, _ := strconv.ParseInt(fields[childrenSystem], 10, 64)
			sum += time.Duration(user+system) * time.Second / ticks
		}
	}
	return sum
}

// Memory returns what the processes have resident, in bytes, each shared page divided
// among those that share it.
func Memory(pids []int) float64 {
	var kib float64
	for _, pid := range pids {
		kib += field(fmt.Sprintf("/proc/%d/smaps_rollup", pid), "Pss")
	}
	return kib * 1024
}

// Switches returns how often the processes' threads gave the processor up, and how
// often it was taken from them.
func Switches(pids []int) float64 {
	var n float64
	for _, pid := range pids {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
		for _, path := range threads {
			n += field(path, "voluntary_ctxt_switches") + field(path, "nonvoluntary_ctxt_switches")
		}
	}
	return n
}

// field returns the number of a line "name: number …", 0 without one.
func field(path, name string) float64 {
	text, _ := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			n, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
			v, _ := strconv.ParseFloat(n, 64)
			return v
		}
	}
	return 0
}

// Signal sends the processes a signal; one that has ended is no error.
func Signal(pids []int, s unix.Signal) {
	for _, pid := range pids {
		unix.Kill(pid, s)
	}
}

// Hold keeps hold of the processes, and returns what kills those that are still there
// and waits for their end. It strikes no other process that has got the number of one
// meanwhile.
func Hold(pids []int) (kill func()) {
	var held []int
	for _, pid := range pids {
		if fd, err := unix.PidfdOpen(pid, 0); err == nil {
			held = append(held, fd)
		}
	}
	return func() {
		for _, fd := range held {
			unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		}
		for _, fd := range held {
			const patience = 5000 // ms, for one that hangs in the kernel
			unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, patience)
			unix.Close(fd)
		}
	}
}

// Pin keeps every thread of the processes on one core, and those that they will make;
// a negative core frees them.
func Pin(pids []int, core int) error {
	var set unix.CPUSet
	if core >= 0 {
		set.Set(core)
	} else {
		for i := range 1024 {
			set.Set(i)
		}
	}
	var failed error
	for _, pid := range pids {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
		for _, thread := range threads {
			tid, _ := strconv.Atoi(filepath.Base(thread))
			if err := unix.SchedSetaffinity(tid, &set); err != nil && !errors.Is(err, unix.ESRCH) {
				failed = errors.Join(failed, fmt.Errorf("thread %d: %w", tid, err))
			}
		}
	}
	return failed
}
