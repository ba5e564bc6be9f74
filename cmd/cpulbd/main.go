// Command cpulbd is the CPU Load Balancer daemon: it takes tasks over a Unix
// socket and has its workers run them.
//
// It ends with status 0 after SIGTERM or SIGINT, with 1 when it can't start or
// can't go on, with 2 when its arguments are wrong. When it has ended, whichever
// way short of SIGKILL, no process, socket or folder of it is left; after SIGKILL
// its workers end by themselves and the next start removes the rest.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
)

func main() {
	os.Exit(execute(os.Args[1:], os.Stdout, os.Stderr))
}

// execute is main with its surroundings named; it returns the exit status.
func execute(args []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil: // the flag package has told the user
		return 2
	case o.version:
		fmt.Fprintln(stdout, "cpulbd", version())
		return 0
	}
	c, err := o.load()
	if err == nil && o.checkConfig {
		fmt.Fprintln(stdout, "OK:", o.source())
		return 0
	}
	if err == nil {
		err = serve(o, c, stderr)
	}
	if err != nil {
		fmt.Fprintf(stderr, "cpulbd: %v\n", err)
		return 1
	}
	return 0
}

// version is what the Go toolchain recorded of the source that it built.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}
