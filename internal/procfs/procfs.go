// Package procfs reads what the kernel reports of a process in /proc (proc(5)).
// Each call reads a file, which does not block on a disk.
package procfs

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Self is the pid that stands for the calling process.
const Self = 0

func folder(pid int) string {
	if pid == Self {
		return "/proc/self"
	}
	return "/proc/" + strconv.Itoa(pid)
}

// Threads returns the number of threads of a process and the CPUs on which they may
// run: the kernel's lists, each once, separated by semicolons. A thread that ends
// meanwhile is left out.
func Threads(pid int) (cpus string, threads int) {
	var lists []string
	files, _ := filepath.Glob(folder(pid) + "/task/*/status") // the pattern is good
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

// ResidentBytes returns how much memory a process has resident (proc_pid_statm(5)).
func ResidentBytes(pid int) (int64, error) {
	text, err := os.ReadFile(folder(pid) + "/statm")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, fmt.Errorf("statm of process %d has no second field: %q", pid, text)
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// Memory is what proc_pid_status(5) reports, in bytes; 0 for what it does not.
type Memory struct {
	// Peak is the most that the process has had resident. getrusage(2) would not do:
	// its ru_maxrss outlives exec and begins with what the parent had.
	Peak int64
	// Data is what is mapped to be written to, Anonymous what of it is resident.
	Data, Anonymous int64
}

// ReadMemory reads a process's Memory.
func ReadMemory(pid int) (Memory, error) {
	var m Memory
	text, err := os.ReadFile(folder(pid) + "/status")
	if err != nil {
		return m, err
	}
	fields := map[string]*int64{"VmHWM": &m.Peak, "VmData": &m.Data, "RssAnon": &m.Anonymous}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		if to := fields[name]; to != nil {
			kib, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			*to = kib << 10
		}
	}
	return m, nil
}
