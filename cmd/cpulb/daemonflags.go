package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// flagOf returns the value of a flag with which a process was started; "": it was not.
func flagOf(pid int, name string) string {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return ""
	}
	return valueIn(strings.Split(string(line), "\x00"), name)
}

// fileOf returns the path that a flag of a process names, which may be relative to the folder
// where that was started; "": it was started without the flag.
func fileOf(pid int, name string) (string, error) {
	path := flagOf(pid, name)
	if path == "" || filepath.IsAbs(path) {
		return path, nil
	}
	folder, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	if err != nil {
		return "", fmt.Errorf("the daemon was started with -%s=%s, and this user can't see in which folder: %w", name, path, err)
	}
	return filepath.Join(folder, path), nil
}

// valueIn finds a flag as package flag writes it, with one hyphen or two.
func valueIn(args []string, name string) string {
	for i, arg := range args {
		given, value, joined := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "=")
		switch {
		case given != name || !strings.HasPrefix(arg, "-"):
		case joined:
			return value
		case i+1 < len(args):
			return args[i+1]
		}
	}
	return ""
}
