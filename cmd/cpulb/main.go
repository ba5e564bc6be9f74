// Command cpulb runs Python scripts through cpulbd, and looks after the daemon.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"cpulb/ipc/client"

	"github.com/alecthomas/kong"
)

// version is set by the linker.
var version = "dev"

// Exit codes, as --help states them.
const (
	exitOK     = 0
	exitFailed = 1 // the task failed, or the daemon said no
	exitUsage  = 2
	exitNotYet = 3 // result: the task has not ended
)

// arguments is the command line.
type arguments struct {
	Socket  string           `help:"Socket of the daemon." env:"CPULB_SOCKET" default:"${socket}" placeholder:"PATH"`
	Version kong.VersionFlag `help:"Print the version and exit."`

	Run    runCommand    `cmd:"" help:"Run a script and print what it returns as JSON. Its own output goes to stderr."`
	Submit submitCommand `cmd:"" help:"Hand a script to the daemon and print the task's id."`
	Result resultCommand `cmd:"" help:"Print the result of a task, as run does. Exits with 3 when it has not ended."`
	Cancel cancelCommand `cmd:"" help:"Stop a task."`
	Status statusCommand `cmd:"" help:"Show the daemon, its queues and its workers."`
}

// terminal is where a command reads and writes.
type terminal struct {
	in       io.Reader
	out, err io.Writer
}

// exit is an error that says which code to end with; what is to be said has been.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], &terminal{os.Stdin, os.Stdout, os.Stderr}))
}

// run parses and executes one command line and returns the exit code.
func run(ctx context.Context, args []string, t *terminal) int {
	var a arguments
	code := -1
	parser, err := kong.New(&a, kong.Name("cpulb"), kong.Writers(t.out, t.err), kong.Exit(func(c int) { code = c }),
		kong.Description("Runs Python scripts through cpulbd. Exit codes: 0 completed, 1 failed (the error is on stderr), 2 wrong usage, 3 not ended yet."),
		kong.Vars{"version": version, "socket": client.DefaultSocket}, kong.UsageOnError())
	if err != nil {
		fmt.Fprintln(t.err, "cpulb:", err)
		return exitUsage
	}
	command, err := parser.Parse(args)
	if code >= 0 { // --help or --version has been printed
		return code
	}
	if err != nil {
		fmt.Fprintf(t.err, "cpulb: %v (see cpulb --help)\n", err)
		return exitUsage
	}
	c := client.New(a.Socket)
	defer c.Close()
	command.BindTo(ctx, (*context.Context)(nil))
	err = command.Run(c, t)
	var e exit
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &e):
		return int(e)
	default:
		fmt.Fprintln(t.err, "cpulb:", err)
		return exitFailed
	}
}
