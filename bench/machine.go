package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// machine says where this run is.
func machine(dir string) []string {
	lines := []string{fmt.Sprintf("%d cores: %s", runtime.NumCPU(), value("/proc/cpuinfo", "model name"))}
	lines = append(lines, "memory: "+value("/proc/meminfo", "MemTotal"))
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		lines = append(lines, "Linux "+unix.ByteSliceToString(u.Release[:]))
	}
	lines = append(lines, strings.Trim(value("/etc/os-release", "PRETTY_NAME"), `"`))
	if out, err := exec.Command("stat", "-f", "-c", "%T", dir).Output(); err == nil {
		lines = append(lines, "journals on "+strings.TrimSpace(string(out)))
	}
	if out, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output(); err == nil {
		lines = append(lines, "cpulb at "+strings.TrimSpace(string(out))+", built with "+runtime.Version())
	}
	return lines
}

// value returns what stands after a name and ":" or "=" in a file.
func value(path, name string) string {
	text, _ := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			return strings.TrimSpace(strings.TrimLeft(rest, "\t :="))
		}
	}
	return "unknown"
}
