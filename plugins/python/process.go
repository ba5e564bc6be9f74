package python

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"cpulb/daemon/task"
	"cpulb/embedpy"
	"cpulb/plugins"

	"golang.org/x/sys/unix"
)

// mainFunction names no function: the file runs from its first line, as
// `python script.py` runs it.
const mainFunction = "__main__"

// killAfter is how long a plain script may go on after SIGINT.
const killAfter = time.Second

// plainProcess is a plain script of a shared worker: literally `python script.py`.
type plainProcess struct {
	cmd            *exec.Cmd
	stdout, stderr bounded
	emit           plugins.Emitter

	mu      sync.Mutex
	ended   bool // its number may be another's
	stopped bool // it was asked to stop before it ended
}

// runProcess runs a plain script in a process of its own.
func (s *slot) runProcess(t *plugins.Task, path string, emit plugins.Emitter) plugins.Outcome {
	began := time.Now()
	args, err := scriptArguments(t.Params)
	if err != nil {
		s.stops.end()
		return failed("bad_params", "TypeError", err.Error())
	}
	p, o := s.executor.startProcess(path, args)
	if p == nil {
		s.stops.end()
		return o
	}
	p.emit = emit
	s.process.Store(p)
	if reason := s.stops.pending(t.Seq); reason != 0 {
		p.stop() // it came before there was a process
	}
	err = p.wait()
	s.process.Store(nil)
	reason := s.stops.end()
	o = p.outcome(err, path)
	if reason != 0 && p.stopped {
		o = stopAs(o, reason)
	}
	o.RunTime = time.Since(began)
	if state := p.cmd.ProcessState; state != nil {
		o.CPUTime = min(o.RunTime, state.UserTime()+state.SystemTime())
	}
	return o
}

// startProcess starts the script, or says why it can't.
func (e *Executor) startProcess(path string, args []string) (*plainProcess, plugins.Outcome) {
	first, o, ok := e.checkScript(path)
	if !ok {
		return nil, o
	}
	all := append([]string{path}, args...)
	if first != "" {
		all = append([]string{"-c", first}, all...)
	}
	p := &plainProcess{cmd: exec.Command(e.interp.Executable(), all...)}
	p.stdout.limit, p.stderr.limit = e.conf.OutputBytes, e.conf.OutputBytes
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = "/", &p.stdout, &p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.WaitDelay = killAfter // for who has inherited its output and lives on
	if err := startOrdinary(p.cmd); err != nil {
		return nil, fault(plugins.Unrun, "OSError", err.Error())
	}
	return p, plugins.Outcome{}
}

// startOrdinary starts a process that has the timers of an ordinary one.
func startOrdinary(cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	embedpy.ReturnSlack()
	return cmd.Start()
}

// checkScript has the runtime look at the file as it does before it loads one. first is what an
// interpreter has to do before it may load files, the script among them; empty: nothing.
func (e *Executor) checkScript(path string) (first string, o plugins.Outcome, ok bool) {
	check, err := e.attr("cpulb.scripts", "check")
	if err == nil {
		err = e.interp.Do(context.Background(), func(t *embedpy.Thread) {
			r, callErr := t.Call(check, embedpy.Str(path))
			switch {
			case callErr != nil:
				o = fault(plugins.Unrun, "ExecutorError", callErr.Error())
			case r.Len() == 3:
				o = failed(r.String(0), r.String(1), r.String(2))
			case r.Len() == 1:
				first = r.String(0)
			}
		})
	}
	if err != nil {
		o = fault(plugins.Unrun, "ExecutorError", err.Error())
	}
	return first, o, o.Error == nil
}

// wait waits for the script's end. Of one that was to stop nothing in its process
// group goes on.
func (p *plainProcess) wait() error {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, p.cmd.Process.Pid, &info, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break // it has ended, and keeps its number until it is waited for
		}
	}
	p.mu.Lock()
	if p.stopped {
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	}
	p.ended = true
	p.mu.Unlock()
	return p.cmd.Wait()
}

// show passes on what the script has printed.
func (p *plainProcess) show() {
	p.emit.Output(plugins.Stdout, p.stdout.fresh())
	p.emit.Output(plugins.Stderr, p.stderr.fresh())
}

// stop asks the script to end as Ctrl-C does, and ends it with all that it has
// started in its process group if it goes on.
func (p *plainProcess) stop() {
	p.mu.Lock()
	first := !p.stopped && !p.ended
	if first {
		p.stopped = true
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGINT)
	}
	p.mu.Unlock()
	if first {
		time.AfterFunc(killAfter, p.kill)
	}
}

func (p *plainProcess) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	}
}

// outcome says how the script ended. An exception that it has not handled is on its
// stderr, as the interpreter shows it.
func (p *plainProcess) outcome(err error, path string) plugins.Outcome {
	o := plugins.Outcome{Status: task.Completed, Data: json.RawMessage(`{"exit_code":0}`)}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			o = failed("exit", "SystemExit", fmt.Sprintf("the script was ended by a signal: %s", status.Signal()))
			o.Error.ExitCode = 128 + int(status.Signal())
		} else {
			o = failed("exit", "SystemExit", fmt.Sprintf("the script ended with exit code %d", exit.ExitCode()))
			o.Error.ExitCode = exit.ExitCode()
		}
	} else if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		o = fault(plugins.Ran, "OSError", fmt.Sprintf("%s: %v", path, err))
	}
	var cut [2]bool
	o.Stdout, cut[0] = p.stdout.take()
	o.Stderr, cut[1] = p.stderr.take()
	o.Truncated = cut[0] || cut[1]
	return o
}

var errArguments = errors.New("params of a plain script are a list of strings and numbers, its arguments, " +
	`or an object with such a list as "argv"`)

// scriptArguments reads a plain script's arguments as plain.py does.
func scriptArguments(params []byte) ([]string, error) {
	given := params
	var object map[string]json.RawMessage
	if json.Unmarshal(params, &object) == nil && object != nil {
		given = object["argv"]
	}
	if len(given) == 0 {
		return nil, nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(given, &list); err != nil {
		return nil, errArguments
	}
	args := make([]string, 0, len(list))
	for _, item := range list {
		var text string
		switch {
		case json.Unmarshal(item, &text) == nil && item[0] == '"':
		case item[0] == '-' || item[0] >= '0' && item[0] <= '9':
			text = string(item)
		default:
			return nil, errArguments
		}
		args = append(args, text)
	}
	return args, nil
}
