// Command cpulbd is the CPU Load Balancer daemon: it takes tasks over a Unix
// socket and has its workers run them.
//
// It ends with status 0 after SIGTERM or SIGINT, with 1 when it can't start or
// can't go on, with 2 when its arguments are wrong and with 78 when its
// configuration is. When it has ended, whichever way short of SIGKILL, no process,
// socket or folder of its workers is left; after SIGKILL its workers end by
// themselves and the next start removes the rest.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"

	"cpulb/cmd/version"
	"cpulb/daemon"

	"golang.org/x/sys/unix"
)

// Exit statuses. 78 is sysexits.h's EX_CONFIG, on which the unit does not start the
// daemon again; 2 would not do for that, for a Go program that panics ends with it.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
	exitConfig = 78
)

func main() {
	// What whoever starts the daemon has left open is not for workers and their scripts. Old
	// kernels can't do this.
	_ = unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	// Nobody but root is to read this process's memory and environment, or to trace it: it has
	// everybody's params.
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	os.Exit(execute(os.Args[1:], os.Stdout, os.Stderr))
}

// execute is main with its surroundings named; it returns the exit status.
func execute(args []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil: // the user has been told
		return exitUsage
	case o.version:
		fmt.Fprintln(stdout, "cpulbd", version.Text())
		return exitOK
	case o.man:
		if err := manual(stdout, o.flags); err != nil {
			fmt.Fprintln(stderr, "cpulbd:", err)
			return exitFailed
		}
		return exitOK
	}
	c, err := o.load()
	if err == nil {
		err = daemon.Check(c)
	}
	switch {
	case o.checkConfig:
		return o.report(c, err, stdout, stderr)
	case err != nil:
		fmt.Fprintf(stderr, "cpulbd: %v\n", err)
		if !o.showConfig {
			o.excuse(err)
		}
		return exitConfig
	case o.showConfig:
		return o.show(c, stdout, stderr)
	}
	if err := serve(o, c, stderr); err != nil {
		fmt.Fprintf(stderr, "cpulbd: %v\n", err)
		return exitFailed
	}
	return exitOK
}
