package plugins

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// cpusAllowed returns the CPUs on which the kernel lets this process's threads
// run, as proto.StatsResponse words it, and the number of threads. A thread that
// ends meanwhile is left out.
func cpusAllowed() (list string, threads int) {
	var lists []string
	files, _ := filepath.Glob("/proc/self/task/*/status") // the pattern is good
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		threads++
		for line := range strings.Lines(string(text)) {
			if value, ok := strings.CutPrefix(line, "Cpus_allowed_list:"); ok {
				lists = append(lists, strings.TrimSpace(value))
			}
		}
	}
	slices.Sort(lists)
	return strings.Join(slices.Compact(lists), ";"), threads
}

// residentBytes returns the resident memory of this process (proc_pid_statm(5)).
func residentBytes() uint64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseUint(fields[1], 10, 64)
	return pages * uint64(os.Getpagesize())
}

// peakBytes returns the most memory that this process has had resident
// (proc_pid_status(5)). getrusage(2) would not do: its ru_maxrss outlives exec and
// begins with what the daemon had.
func peakBytes() uint64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kilobytes, _ := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			return kilobytes << 10
		}
	}
	return 0
}
