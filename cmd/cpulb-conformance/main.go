// Command cpulb-conformance tests an executor against the contract of docs/plugins.md and
// reports promise by promise. It is what `cpulb executors test` runs; a program of its own, so
// that cpulb itself, which lives for milliseconds, does not bring along what starts workers.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"cpulb/cmd/version"
	"cpulb/plugins/conformance"
	"cpulb/plugins/supervisor"

	"github.com/alecthomas/kong"
	"github.com/hashicorp/go-hclog"
)

// Exit codes, as --help states them.
const (
	exitKept   = 0
	exitBroken = 1
	exitUsage  = 2
)

const description = `Tests an executor against the contract that docs/plugins.md describes.

It starts BINARY as the daemon does, once for each promise, and prints whether the promise is kept, what was expected and came if not, or why it
was skipped. The scripts that it runs are yours: a file in the folder of --scripts is named after what it does, with any extension (echo.sh);
--behaviours lists the names and what each is to do. A promise without its script is skipped.

Exit codes: 0 every promise is kept or was skipped; 1 one is broken, or BINARY does not start as an executor; 2 wrong usage.`

// arguments is the command line.
type arguments struct {
	Version    kong.VersionFlag  `help:"Print the version and exit."`
	Binary     string            `arg:"" optional:"" help:"The executor's program."`
	Scripts    string            `help:"Folder with the scripts, each named after its behaviour." placeholder:"DIR"`
	Settings   map[string]string `help:"Setting of the executor, a list or an object as JSON, or one that pools have, as isolation=process; may be repeated." placeholder:"KEY=VALUE" mapsep:"none"`
	Env        map[string]string `help:"Environment variable of the executor; may be repeated." placeholder:"KEY=VALUE" mapsep:"none"`
	Slots      int               `help:"Slots of each worker, at least 2." default:"2"`
	Only       string            `help:"Only the promises whose names or words match." placeholder:"REGEXP"`
	Patience   time.Duration     `help:"How long a start, or an answer, may take." default:"30s"`
	JSON       bool              `help:"Print the report as one JSON document."`
	Report     string            `help:"Form of the report: ${enum}." enum:"text,markdown" default:"text"`
	Log        bool              `help:"Print what the executor logs, on stderr."`
	Behaviours bool              `help:"List the behaviours of scripts, and what each is to do."`
	Table      []string          `help:"Instead of a test, print a Markdown table of reports that --json has written; may be repeated." placeholder:"FILE" sep:"none"`
}

// usageError is a mistake in the command line.
type usageError struct{ error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	name := "cpulb-conformance"
	if strings.Contains(os.Args[0], " ") { // as whom cpulb runs it
		name = os.Args[0]
	}
	os.Exit(run(ctx, name, os.Args[1:], os.Stdout, os.Stderr))
}

// run executes one command line and returns the exit code.
func run(ctx context.Context, name string, args []string, stdout, stderr io.Writer) int {
	var a arguments
	code := -1
	parser, err := kong.New(&a, kong.Name(name), kong.Description(description), kong.Writers(stdout, stderr),
		kong.Exit(func(c int) { code = c }), kong.Vars{"version": "cpulb-conformance " + version.Text()})
	if err == nil {
		_, err = parser.Parse(args)
	}
	if code >= 0 { // --help or --version has been printed
		return code
	}
	if err != nil {
		err = usageError{err}
	} else {
		err = a.run(ctx, stdout, stderr)
	}
	var usage usageError
	switch {
	case err == nil:
		return exitKept
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "%s: %s (see --help)\n", name, printable(err.Error()))
		return exitUsage
	case !errors.Is(err, errBroken):
		fmt.Fprintf(stderr, "%s: %s\n", name, printable(err.Error()))
	}
	return exitBroken
}

func (a *arguments) run(ctx context.Context, stdout, stderr io.Writer) error {
	switch {
	case a.Behaviours:
		return behaviours(stdout)
	case len(a.Table) > 0:
		return table(stdout, a.Table)
	case a.Binary == "":
		return usageError{errors.New("BINARY is missing: the program of the executor to test")}
	case a.Scripts == "":
		return usageError{errors.New("--scripts is missing: the folder with a script for each behaviour")}
	case a.Slots < 2:
		return usageError{fmt.Errorf("--slots is %d; at least 2 are needed", a.Slots)}
	case a.Patience <= 0:
		return usageError{fmt.Errorf("--patience is %v; it has to be more than 0", a.Patience)}
	case a.JSON && a.Report != "text":
		return usageError{errors.New("--json and --report exclude each other")}
	}
	only, err := regexp.Compile(a.Only)
	if err != nil {
		return usageError{fmt.Errorf("--only: %w", err)}
	}
	s, err := a.suite(stderr)
	if err != nil {
		return usageError{err}
	}
	return a.test(ctx, s, only, stdout)
}

// suite returns what is to be tested.
func (a *arguments) suite(stderr io.Writer) (s conformance.Suite, err error) {
	binary, err := filepath.Abs(a.Binary)
	if err != nil {
		return s, err
	}
	info, err := os.Stat(binary)
	switch {
	case err != nil:
		return s, err
	case !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0:
		return s, fmt.Errorf("%s is not a program", a.Binary)
	}
	if s.Scripts, err = conformance.Scripts(a.Scripts); err != nil {
		return s, fmt.Errorf("--scripts: %w", err)
	}
	log := hclog.NewNullLogger()
	if a.Log {
		log = hclog.New(&hclog.LoggerOptions{Level: hclog.Debug, Output: stderr})
	}
	s.Patience, s.Slots = a.Patience, a.Slots
	given, pools := conformance.Given(a.Settings)
	s.Start = conformance.Program(supervisor.Spec{Command: binary, Given: given, Settings: pools, Env: a.Env, StartTimeout: a.Patience}, log)
	return s, nil
}

func behaviours(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, b := range conformance.Behaviours() {
		fmt.Fprintf(w, "%s\t%s\n", b.Behaviour, b.Does)
	}
	return w.Flush()
}
