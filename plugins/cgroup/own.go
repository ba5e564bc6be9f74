package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

var (
	errNoUnified = errors.New("no cgroup of version 2")
	errNotInside = errors.New("the mounted part of the hierarchy does not have it")
)

// ownDir returns the folder of a process's cgroup of version 2. proc is its folder
// in /proc.
func ownDir(proc string) (string, error) {
	own, err := os.ReadFile(filepath.Join(proc, "cgroup"))
	if err != nil {
		return "", err
	}
	mounts, err := os.ReadFile(filepath.Join(proc, "mountinfo"))
	if err != nil {
		return "", err
	}
	return find(string(own), string(mounts))
}

// find joins a process's path in the hierarchy to where that is mounted.
func find(own, mounts string) (string, error) {
	var path string
	for line := range strings.Lines(own) {
		if p, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok {
			path = p
		}
	}
	if path == "" {
		return "", errNoUnified
	}
	if strings.HasPrefix(path, "/..") { // of another cgroup namespace
		return "", fmt.Errorf("%s: %w", path, errNotInside)
	}
	for line := range strings.Lines(mounts) {
		root, point, ok := mount(line)
		if !ok {
			continue
		}
		inside, err := filepath.Rel(root, path)
		if err != nil || inside == ".." || strings.HasPrefix(inside, "../") {
			return "", fmt.Errorf("%s: %w", path, errNotInside)
		}
		return filepath.Join(point, inside), nil
	}
	return "", errNoUnified
}

// mount reads a line of mountinfo (proc_pid_mountinfo(5)):
//
//	36 35 98:0 /root /point rw,noatime shared:1 - cgroup2 source rw
func mount(line string) (root, point string, ok bool) {
	head, tail, ok := strings.Cut(line, " - ")
	fields, kind := strings.Fields(head), strings.Fields(tail)
	if !ok || len(fields) < 5 || len(kind) == 0 || kind[0] != "cgroup2" {
		return "", "", false
	}
	return unescape(fields[3]), unescape(fields[4]), true
}

// unescape undoes what the kernel does to blanks.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}
