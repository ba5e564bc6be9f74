// Command cpulb runs Python scripts through cpulbd, and administers the daemon.
//
// The script's return value goes to stdout as JSON; everything else, its own output
// included, goes to stderr. The exit code tells success from failure.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"cpulb/cmd/cpulb/completion"
	"cpulb/cmd/cpulb/top"
	"cpulb/cmd/version"
	"cpulb/daemon/task"
	"cpulb/ipc/client"

	"github.com/alecthomas/kong"
)

// Exit codes, as --help states them.
const (
	exitOK     = 0
	exitFailed = 1 // a task failed, or the daemon refused the call
	exitUsage  = 2
	exitNotYet = 3 // result: the task has not ended
	// exitNoReader is as a shell reports a program that SIGPIPE has ended.
	exitNoReader = 128 + int(syscall.SIGPIPE)
)

const description = `Runs Python scripts through cpulbd.

Exit codes: 0 done; 1 a task failed, was cancelled or refused, no daemon answers, or stdout can't be written (stderr says what);
2 wrong usage; 3 the task has not ended yet (result).`

// arguments is the command line.
type arguments struct {
	Socket   string           `help:"Socket of the daemon." env:"CPULB_SOCKET" default:"${socket}" placeholder:"PATH"`
	Patience time.Duration    `help:"How long to wait for a daemon that drains or goes away in the middle, because it is restarted. One that is not there at the beginning is not waited for." env:"CPULB_PATIENCE" default:"${patience}" placeholder:"DURATION"`
	Version  kong.VersionFlag `help:"Print the version and exit."`

	Run    runCommand    `cmd:"" help:"Run a script and print its return value as JSON. Its own output goes to stderr. On failure exits with 1, with error and traceback on stderr. Ctrl-C cancels the task. $TRACEPARENT, if it is valid, is the trace that the task is in."`
	Map    mapCommand    `cmd:"" help:"Run a script once for each line of stdin, which is its params as JSON, and print the results in the order of the lines, as JSON. Ctrl-C cancels what is in flight."`
	Submit submitCommand `cmd:"" help:"Submit a script and print the task's id. $TRACEPARENT, if it is valid, is the trace that the task is in."`
	Result resultCommand `cmd:"" help:"Print the result of a task, as run does. Exits with 3 if the task has not ended."`
	Cancel cancelCommand `cmd:"" help:"Cancel tasks by their ids, or all that the flags select, and then print how many."`
	Rerun  rerunCommand  `cmd:"" help:"Submit a task again, as a new one, and print its id."`
	Events eventsCommand `cmd:"" help:"Print the events of a task up to its result, one per line, as JSON. A restart of the daemon is waited for."`
	Logs   logsCommand   `cmd:"" help:"Print what a task has logged, and when it has ended what it has printed."`
	Tasks  tasksCommand  `cmd:"" aliases:"list" help:"List tasks, or watch them."`
	Batch  batchCommand  `cmd:"" help:"Submit a file with one task per line, as JSON, and print the id of the batch. Bad lines are reported on stderr and skipped; the exit code is then 1."`

	Dashboard dashboardCommand `cmd:"" help:"Serve a page that shows the daemon in a browser of this machine, and print its address. Ctrl-C ends it."`
	Top       topCommand       `cmd:"" help:"Show live what the daemon does: workers by core, slots, rates, the queue, the slowest scripts. ? lists the keys."`
	Config    configCommand    `cmd:"" help:"Check a configuration, or show what holds by it."`
	Doctor    doctorCommand    `cmd:"" help:"Look whether this machine has what cpulb needs, and whether the daemon is well, and say what to do where not. Exits with 1 if something has failed."`
	Status    statusCommand    `cmd:"" help:"Show the daemon, its queues and its workers."`
	Workers   workersCommand   `cmd:"" help:"List the workers, or restart one."`
	Executors executorsCommand `cmd:"" help:"List the executors, swap the program of one, or test a program."`
	Schedules schedulesCommand `cmd:"" help:"List the schedules."`
	Stacks    stacksCommand    `cmd:"" help:"Print the stack of every thread of a worker. For administrators."`
	Drain     drainCommand     `cmd:"" help:"Stop accepting and starting tasks. For administrators."`
	Resume    resumeCommand    `cmd:"" help:"Accept and start tasks again, after drain. For administrators."`
	Reload    reloadCommand    `cmd:"" help:"Make the daemon read its configuration again. If it keeps the old one, the reason is on stderr. For administrators."`

	Completion completionCommand `cmd:"" help:"Print a script with which a shell completes command lines: source <(cpulb completion bash)."`
	Man        manCommand        `cmd:"" hidden:"" help:"Print the manual page, for man -l."`
}

// answerTimeout is how long a daemon may take for what it answers at once unless it hangs.
const answerTimeout = 10 * time.Second

func main() {
	t := newTerminal(os.Stdin, os.Stdout, os.Stderr)
	ctx := interruptible(t)
	// Who reads what is printed may go first. A write then fails, which ends the command in order.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	os.Exit(run(ctx, os.Args[1:], t))
}

// run parses and executes one command line and returns the exit code.
func run(ctx context.Context, args []string, t *terminal) int {
	var a arguments
	code := -1
	parser, err := kong.New(&a, kong.Name("cpulb"), kong.Description(description), kong.Writers(t.out, t.err),
		kong.Exit(func(c int) { code = c }), vars())
	if err != nil {
		return t.report(err)
	}
	refuseEmpty(parser.Model.Node)
	command, err := parser.Parse(args)
	if t.lost.Load() != nil {
		return t.report(nil)
	}
	if code >= 0 { // --help or --version has been printed
		return code
	}
	if err != nil {
		return t.report(usageError{err})
	}
	if a.Socket == "" {
		return t.report(usageError{errors.New("CPULB_SOCKET is empty; unset it, or use --socket")})
	}
	if a.Patience < 0 {
		return t.report(usageError{fmt.Errorf("--patience=%s is negative", a.Patience)})
	}
	c := client.New(a.Socket, client.WithPatience(a.Patience), client.WithAnswerTimeout(answerTimeout))
	defer c.Close()
	command.BindTo(ctx, (*context.Context)(nil))
	stop := t.sayWaits(c)
	err = command.Run(c, t, &a)
	stop()
	return t.report(err)
}

// vars are what the grammar's texts refer to.
func vars() kong.Vars {
	var states []string
	for _, s := range task.Statuses() {
		states = append(states, s.String())
	}
	return kong.Vars{"states": strings.Join(states, ","), "version": "cpulb " + version.Text(), "socket": client.DefaultSocket, "grace": waitGrace.String(), "patience": client.DefaultPatience.String(),
		"watched": strconv.Itoa(mostWatched), "orders": strings.Join(top.Orders(), ","), "shells": strings.Join(completion.Shells(), ",")}
}
