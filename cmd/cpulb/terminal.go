package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"cpulb/cmd/cpulb/printable"
	"cpulb/daemon/api"
	"cpulb/ipc/client"
)

// terminal is where a command reads and writes. What comes through out and err is
// printable, see package printable: the rest is for the raw ones.
type terminal struct {
	in       io.Reader
	out, err io.Writer
	raw      struct{ out, err io.Writer }
	// shown is the bar that is drawn at the moment, if there is one.
	shown atomic.Pointer[bar]
	// left is what is said if a signal ends the program now; nil: nothing goes on then.
	left atomic.Pointer[string]
	// lost is why something that was written to stdout did not get there.
	lost atomic.Pointer[unwritten]
}

// newTerminal returns one whose err may be written to by several goroutines.
func newTerminal(in io.Reader, out, err io.Writer) *terminal {
	if _, ok := err.(*os.File); !ok {
		err = &serial{w: err}
	}
	t := &terminal{in: in, err: printable.Writer{Writer: err}}
	t.out = printable.Writer{Writer: noting{out, t}}
	t.raw.out, t.raw.err = out, err
	return t
}

// serial is a Writer for several goroutines.
type serial struct {
	mu sync.Mutex
	w  io.Writer
}

// Write implements io.Writer.
func (s *serial) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}

// noting writes to stdout, and has the command fail where that does, whoever looks at the error.
type noting struct {
	io.Writer
	terminal *terminal
}

// Write implements io.Writer.
func (n noting) Write(p []byte) (int, error) {
	written, err := n.Writer.Write(p)
	if err == nil {
		return written, nil
	}
	lost := &unwritten{err}
	n.terminal.lost.CompareAndSwap(nil, lost)
	return written, lost
}

// asIs is stdout for what is printable already.
func (t *terminal) asIs() io.Writer { return noting{t.raw.out, t} }

// data is where JSON goes: unchanged to a program, with escapes to a person.
func (t *terminal) data() io.Writer {
	if isTerminal(t.raw.out) {
		return t.out
	}
	return t.asIs()
}

// script is where a script's own output goes: as it is when it has been run just now, or a
// program reads it; a person who looks at the result of a task, which may be somebody
// else's, is shown escapes.
func (t *terminal) script(ran bool) (out, err io.Writer) {
	out, err = t.asIs(), t.raw.err
	if !ran && isTerminal(t.raw.out) {
		out = t.out
	}
	if !ran && isTerminal(err) {
		err = t.err
	}
	return out, err
}

// exit is an error with an exit code, for a command that has already printed its
// message.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// usageError is a mistake in the command line that the grammar can't express.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// remedyOf says what to do about the daemon, where err is about that; "": nothing is known to help.
func remedyOf(err error) string {
	var socket *net.OpError
	switch {
	case errors.Is(err, client.ErrNoAnswer):
		return "cpulb doctor looks for the cause, systemctl status cpulbd shows what the daemon does; systemctl restart cpulbd ends one that hangs, and keeps the tasks that are in the journal"
	case errors.Is(err, api.ErrDraining):
		return "a daemon drains while it stops, and the next one takes tasks, for which --patience waits; or an administrator has had it drain, which cpulb resume ends"
	case errors.As(err, &socket) && socket.Op == "dial" && errors.Is(socket, fs.ErrPermission):
		return "cpulb doctor says who may use the socket, and how to become one of them"
	}
	return ""
}

// report prints err, if there is one, and returns the exit code.
func (t *terminal) report(err error) int {
	if lost := t.lost.Load(); lost != nil && !errors.As(err, new(*unwritten)) {
		err = lost // it has cost what the command is for, whatever else there is
	}
	var e exit
	var usage usageError
	var file *fs.PathError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &file) && errors.Is(file, syscall.EPIPE): // whoever read our output has gone
		return exitNoReader
	case errors.As(err, &e):
		return int(e)
	case errors.As(err, &usage):
		fmt.Fprintf(t.err, "cpulb: %v (see cpulb --help)\n", err)
		return exitUsage
	default:
		fmt.Fprintln(t.err, "cpulb:", err)
		if remedy := remedyOf(err); remedy != "" {
			fmt.Fprintln(t.err, "cpulb:", remedy)
		}
		return exitFailed
	}
}
