package exec

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"cpulb/daemon/task"
	"cpulb/plugins"
	"cpulb/plugins/program"

	"golang.org/x/sys/unix"
)

// run is one task and its program. All of it is the slot's thread's, but for the ladder.
type run struct {
	slot  *slot
	task  *plugins.Task
	order *order
	rungs *rungs

	given   []int         // for the keeper
	readers [3]pipeReader // stdout, stderr and events
	output  *program.Output
	errors  *program.Head
	events  *program.Events
	wrong   bool // output does not want more
	end     answer
}

// pipeReader is one of the pipes that the program writes into.
type pipeReader struct {
	fd int // -1: its end has been read
	to io.Writer
}

// open opens all that the program gets. script is a descriptor of the caller's, or -1.
func (r *run) open(script int, emit plugins.Emitter) error {
	c := &r.slot.executor.conf
	r.output = program.NewOutput(r.slot.executor.mode, c.ResultBytes, c.OutputBytes, emit)
	r.errors, r.events = program.NewHead(c.OutputBytes), program.NewEvents(emit)
	for i, to := range []io.Writer{r.output, r.errors, r.events} {
		r.readers[i] = pipeReader{-1, to}
	}
	if err := r.give("order", func(f *os.File) error { _, err := f.Write(r.order.encode()); return err }); err != nil {
		return err
	}
	// A file and not a pipe: a program that reads nothing of it keeps nobody waiting.
	err := r.give("params", func(f *os.File) error {
		if err := program.WriteInput(f, r.task.Params); err != nil {
			return err
		}
		_, err := f.Seek(0, io.SeekStart)
		return err
	})
	if err != nil {
		return err
	}
	for i := range r.readers {
		var pair [2]int
		if err := unix.Pipe2(pair[:], unix.O_CLOEXEC); err != nil {
			return err
		}
		r.readers[i].fd, r.given = pair[0], append(r.given, pair[1])
		if err := unix.SetNonblock(pair[0], true); err != nil {
			return err
		}
		if err := r.order.who.chown(pair[1]); err != nil {
			return err
		}
	}
	if script >= 0 {
		again, err := unix.FcntlInt(uintptr(script), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return err
		}
		r.given = append(r.given, again)
	}
	return nil
}

// give adds a file in memory to what the keeper gets.
func (r *run) give(name string, write func(*os.File) error) error {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	if err := write(f); err != nil {
		return err
	}
	again, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		r.given = append(r.given, again)
	}
	return err
}

func (r *run) closeGiven() {
	for _, fd := range r.given {
		unix.Close(fd)
	}
	r.given = nil
}

func (r *run) close() {
	r.closeGiven()
	for i := range r.readers {
		if r.readers[i].fd >= 0 {
			unix.Close(r.readers[i].fd)
			r.readers[i].fd = -1
		}
	}
}

// watch has the keeper run the program and returns when nothing of it is left. An error: the
// keeper has gone.
func (r *run) watch() error {
	socket := r.slot.keeper.socket
	if err := send(socket, ask{askRun, r.rungs.serial}, r.given...); err != nil {
		return fmt.Errorf("%w: %w", errKeeperGone, err)
	}
	r.closeGiven()
	r.rungs.begin()
	for r.end.what == 0 {
		fds := []unix.PollFd{{Fd: int32(socket), Events: unix.POLLIN}}
		for _, p := range r.readers {
			fds = append(fds, unix.PollFd{Fd: int32(p.fd), Events: unix.POLLIN})
		}
		if _, err := unix.Poll(fds, -1); err != nil && err != unix.EINTR {
			return err
		}
		for i := range r.readers {
			if fds[1+i].Revents != 0 {
				r.read(i)
			}
		}
		if fds[0].Revents == 0 {
			continue
		}
		var a answer
		if _, err := receive(socket, &a); err != nil && err != unix.EINTR {
			return fmt.Errorf("%w: %w", errKeeperGone, err)
		} else if err == nil && a.serial == r.rungs.serial {
			r.end = a
		}
	}
	for i := range r.readers { // who wrote has ended, and all that they wrote is there
		for more := mostPipe; more > 0 && r.read(i); more -= len(r.slot.chunk) {
		}
	}
	return nil
}

// mostPipe is more than a pipe holds: somebody else may have got hold of its other end.
const mostPipe = 4 << 20

// read reads some of what the program has written. It returns false if nothing is there.
func (r *run) read(i int) bool {
	p := &r.readers[i]
	if p.fd < 0 {
		return false
	}
	n, err := unix.Read(p.fd, r.slot.chunk)
	switch {
	case err == unix.EINTR:
		return true
	case err == unix.EAGAIN:
		return false
	case err != nil || n == 0:
		unix.Close(p.fd)
		p.fd = -1
		return false
	}
	if _, err := p.to.Write(r.slot.chunk[:n]); err != nil {
		r.wrong = true
		r.rungs.kill()
	}
	return true
}

// outcome is how the task ended. err: its keeper has gone; reason: why it was to stop.
func (r *run) outcome(err error, reason plugins.StopReason) plugins.Outcome {
	o := r.ended(err, reason)
	o.CPUTime = time.Duration(r.end.cpu)
	if r.end.left != 0 {
		o.Spent = true
		if log := r.slot.executor.conf.Log; log != nil {
			log.Warn("not all processes of a task could be ended; the worker is replaced, which ends them", "task", r.task.ID, "tried_for", patience)
		}
	}
	var cut bool
	if o.Status != task.Completed && o.Stdout == "" {
		o.Stdout, cut = r.output.Printed()
		o.Truncated = o.Truncated || cut
	}
	o.Stderr, cut = r.errors.Text()
	o.Truncated = o.Truncated || cut
	return o
}

func (r *run) ended(err error, reason plugins.StopReason) plugins.Outcome {
	status := unix.WaitStatus(r.end.status)
	switch {
	case err != nil && reason == 0:
		// Whoever is of its user can do that to it: it is not the executor's failure.
		o := program.Failed("exit", "ProcessError", err.Error()+", and the task with it: has it ended its parent, or was memory short?")
		o.Error.ExitCode, o.Spent = 128+int(unix.SIGKILL), true
		return o
	case err != nil:
		o := program.Stopped(reason)
		o.Spent = true
		return o
	case r.end.what == saysRefused:
		return r.refused(syscall.Errno(r.end.status), r.end.stage)
	case r.wrong:
		return r.output.Outcome()
	case reason == plugins.StopTimedOut: // the daemon allows no other status then, and what was printed is to stay
		return program.Stopped(reason)
	case reason != 0 && !(status.Exited() && status.ExitStatus() == 0 && r.events.Error() == nil):
		return program.Stopped(reason)
	case r.events.Error() != nil:
		o := program.Failed("exception", "", "")
		o.Error = r.events.Error()
		if status.Exited() {
			o.Error.ExitCode = status.ExitStatus()
		}
		return o
	case status.Signaled():
		return r.signaled(status.Signal())
	case status.ExitStatus() != 0:
		o := program.Failed("exit", "ProcessError", fmt.Sprintf("the program ended with exit code %d%s", status.ExitStatus(), r.lastWords()))
		o.Error.ExitCode = status.ExitStatus()
		return o
	}
	return r.output.Outcome()
}

// signaled is the end of a task whose program has ended by a signal.
func (r *run) signaled(number syscall.Signal) plugins.Outcome {
	limit := r.order.bounds.cpuSeconds
	o := program.Failed("exit", "ProcessError", fmt.Sprintf("the program was ended by a signal: %s%s", number, r.lastWords()))
	if limit > 0 && (number == unix.SIGXCPU || number == unix.SIGKILL && r.end.cpu >= limit*int64(time.Second)) {
		o = program.Failed("cpu_time", "CPUTime", fmt.Sprintf("the task has used up its CPU time, %ds (pool.cpu_time)", limit))
	}
	o.Error.ExitCode = 128 + int(number)
	return o
}

// lastWords is the last line of stderr, for a message.
func (r *run) lastWords() string {
	text, _ := r.errors.Text()
	text = strings.TrimSpace(text)
	if line := text[strings.LastIndexByte(text, '\n')+1:]; line != "" {
		return ": " + task.Clip(line, 500)
	}
	return ""
}
