package exec

import (
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// The descriptors of a process that begins a program with bounds of its own, beyond those that
// the program gets.
const (
	beginFailed = 4 // where it says why it can't execute it
	beginScript = 5 // what it executes, if that is not named by its path
)

// The first arguments of this program's other roles.
const (
	roleKeep  = "keep"
	roleBegin = "begin"
)

// keepsForCallers is the argument of a keeper whose programs run as their callers.
const keepsForCallers = "callers"

func beginArguments(path string, argv []string, b bounds) []string {
	return append([]string{"cpulb-exec", roleBegin, strconv.FormatInt(b.data, 10), strconv.FormatInt(b.cpuSeconds, 10), path}, argv...)
}

// Begin bounds this process and executes the program in it. It does not return.
func Begin(args []string) {
	unix.CloseOnExec(beginFailed)
	unix.CloseOnExec(beginScript)
	err := syscall.EINVAL
	if len(args) >= 4 {
		err = begin(args[2], args[3:], number(args[0]), number(args[1]))
	}
	_, _ = unix.Write(beginFailed, []byte{byte(err)})
	os.Exit(127)
}

func number(text string) uint64 {
	n, _ := strconv.ParseUint(text, 10, 63) // the keeper has written it
	return n
}

func begin(path string, argv []string, data, cpuSeconds uint64) syscall.Errno {
	for _, limit := range []struct {
		resource   int
		soft, hard uint64
	}{
		{unix.RLIMIT_DATA, data, data},
		{unix.RLIMIT_CPU, cpuSeconds, cpuSeconds + 1}, // SIGXCPU, then SIGKILL
	} {
		if limit.soft == 0 {
			continue
		}
		var now unix.Rlimit
		if unix.Getrlimit(limit.resource, &now) == nil {
			limit.soft, limit.hard = min(limit.soft, now.Max), min(limit.hard, now.Max)
		}
		if err := unix.Setrlimit(limit.resource, &unix.Rlimit{Cur: limit.soft, Max: limit.hard}); err != nil {
			number, _ := err.(syscall.Errno)
			return number
		}
	}
	err, _ := syscall.Exec(path, argv, os.Environ()).(syscall.Errno)
	return err
}

// HasRole reports whether this program has been started for another role than to serve: the
// worker starts it anew to be the keeper of a slot, and that to begin a program.
func HasRole() bool {
	return len(os.Args) > 1 && (os.Args[1] == roleKeep || os.Args[1] == roleBegin)
}

// Role plays the role, to the process's end. Its caller is locked to the first thread.
func Role() {
	if os.Args[1] == roleBegin {
		Begin(os.Args[2:])
	}
	if err := Keep(); err != nil {
		fmt.Fprintln(os.Stderr, "cpulb-exec keep:", err)
		os.Exit(1)
	}
}
