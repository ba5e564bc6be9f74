package main

import (
	"fmt"
	"strings"

	"cpulb/daemon/task"
)

// plainFunction has the file itself run, as python would.
const plainFunction = "__main__"

// showPlain prints what a plain script has printed, where it did, and exits as it did.
func showPlain(r *task.Result, t *terminal) error {
	if r.Status != task.Completed && (r.Error == nil || r.Error.ExitCode == 0) {
		return show(r, t, true) // it was not the script that ended so
	}
	own := t.ownOutput(true)
	_, lost := fmt.Fprint(own.to[task.Stdout], r.Stdout)
	fmt.Fprint(own.to[task.Stderr], r.Stderr)
	t.missing(r)
	if lost != nil {
		return lost
	}
	if r.Error != nil {
		return exit(r.Error.ExitCode)
	}
	return nil
}

// ownOutput is where what a script that is run just now prints goes: stderr, as stdout has what
// it returns, unless that is plain.
func (t *terminal) ownOutput(plain bool) *printed {
	out, err := t.script(true)
	if !plain {
		out = err
	}
	return newPrinted(out, err)
}

// show prints a result: the data on stdout, everything else on stderr. ran: it is of a
// script that has been run just now.
func show(r *task.Result, t *terminal, ran bool) error {
	_, said := t.script(ran)
	fmt.Fprint(said, r.Stdout, r.Stderr)
	t.missing(r)
	if r.Status == task.Completed && r.Data == nil { // it has been shown already
		return nil
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
