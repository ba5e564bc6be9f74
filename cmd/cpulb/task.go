package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cpulb/daemon/task"
)

// taskFlags describe a task; run and submit share them.
type taskFlags struct {
	Script   string            `arg:"" help:"Python script with a function main(params, context)."`
	Params   string            `help:"Argument of the function: JSON text, @FILE, or - for stdin." default:"{}" placeholder:"JSON|@FILE|-"`
	Type     string            `help:"cpu for tasks that compute, io for tasks that wait." enum:"cpu,io" default:"cpu"`
	Pool     string            `help:"Pool to run in; by default the daemon chooses one by type." placeholder:"NAME"`
	Function string            `help:"Function to call; __main__ runs the file as python does, with --params as its arguments." default:"main" placeholder:"NAME"`
	Timeout  time.Duration     `help:"How long the script may run, e.g. 30s; default without limit. run waits ${grace} longer for the result, then cancels the task." placeholder:"DURATION"`
	Label    map[string]string `help:"Label of the task; may be repeated." placeholder:"KEY=VALUE" mapsep:"none"`
}

// task checks what can be checked here. Only the daemon, which runs as another user,
// knows whether it can run the script.
func (f *taskFlags) task(in io.Reader) (*task.Task, error) {
	path, err := filepath.Abs(f.Script)
	if err != nil {
		return nil, fmt.Errorf("script: %w", err)
	}
	params, err := f.params(in)
	if err != nil {
		return nil, err
	}
	t := &task.Task{ID: task.NewID(), ScriptPath: path, Function: f.Function, Params: params, Type: task.CPUBound, Pool: f.Pool,
		Priority: task.DefaultPriority, Timeout: task.Duration(f.Timeout), Labels: f.Label}
	if f.Type == "io" {
		t.Type = task.IOBound
	}
	if err := t.Validate(); err != nil {
		return nil, usageError{err}
	}
	return t, nil
}

func (f *taskFlags) params(in io.Reader) (json.RawMessage, error) {
	text, from := []byte(f.Params), "--params"
	var err error
	switch name, isFile := strings.CutPrefix(f.Params, "@"); {
	case f.Params == "-":
		from = "stdin"
		text, err = io.ReadAll(in)
	case isFile:
		from = name
		text, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, usageError{fmt.Errorf("params: %w", err)}
	}
	if err := json.Unmarshal(text, new(json.RawMessage)); err != nil {
		return nil, usageError{fmt.Errorf("params: %s is not JSON: %w", from, err)}
	}
	return text, nil
}

func parseID(text string) (task.ID, error) {
	id, err := task.ParseID(text)
	if err != nil {
		return id, usageError{err}
	}
	return id, nil
}

// plainFunction has the file itself run, as python would.
const plainFunction = "__main__"

// showPlain prints what a plain script has printed, where it did, and exits as it did.
func showPlain(r *task.Result, t *terminal) error {
	if r.Status != task.Completed && (r.Error == nil || r.Error.ExitCode == 0) {
		return show(r, t, true) // it was not the script that ended so
	}
	out, err := t.script(true)
	fmt.Fprint(out, r.Stdout)
	fmt.Fprint(err, r.Stderr)
	if r.Truncated {
		fmt.Fprintln(t.err, "cpulb: the script printed more than is kept")
	}
	if r.Error != nil {
		return exit(r.Error.ExitCode)
	}
	return nil
}

// show prints a result: the data on stdout, everything else on stderr. ran: it is of a
// script that has been run just now.
func show(r *task.Result, t *terminal, ran bool) error {
	_, said := t.script(ran)
	fmt.Fprint(said, r.Stdout, r.Stderr)
	if r.Truncated {
		fmt.Fprintln(t.err, "cpulb: the script printed more than is kept")
	}
	if r.Status == task.Completed {
		_, err := fmt.Fprintln(t.data(), string(r.Data))
		return err
	}
	t.explain(r)
	return exit(exitFailed)
}

// explain prints why a task did not complete. Most tracebacks end with the error
// itself, perhaps without its line numbers; it is then not printed twice.
func (t *terminal) explain(r *task.Result) {
	if r.Error == nil {
		fmt.Fprintf(t.err, "cpulb: the task %s\n", ending(r.Status))
		return
	}
	fmt.Fprintf(t.err, "cpulb: the task %s [%s]\n", ending(r.Status), r.Error.Code)
	said := r.Error.Type + ": " + r.Error.Message
	traceback := strings.TrimRight(r.Error.Traceback, "\n")
	if traceback != "" {
		fmt.Fprintln(t.err, traceback)
	}
	last := traceback[strings.LastIndexByte(traceback, '\n')+1:]
	if last == "" || !strings.HasSuffix(traceback, said) && !strings.HasPrefix(said, last) {
		fmt.Fprintln(t.err, said)
	}
}

func ending(s task.Status) string {
	switch s {
	case task.Cancelled:
		return "was cancelled"
	case task.TimedOut:
		return "ran out of time"
	default:
		return s.String()
	}
}
