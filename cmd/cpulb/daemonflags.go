package main

import (
	"fmt"
	"os"
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
