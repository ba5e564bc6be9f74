package python

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"cpulb/plugins"

	"golang.org/x/sys/unix"
)

const (
	// hungAfter is how long a script has for the exception of a stop to reach it.
	hungAfter = 40 * time.Millisecond
	// cleansUpFor is how long it may go on once it has.
	cleansUpFor = 1500 * time.Millisecond
)

// The signals of a stop, as template.py has them.
const (
	askCancelled = syscall.Signal(64)
	askTimedOut  = syscall.Signal(63)
	raiseStop    = syscall.Signal(62)
)

// taskSlot implements plugins.Slot by processes, of which the next one waits already.
type taskSlot struct {
	executor   *Executor
	index      int
	subreapers [subreapers]subreaper
	serial     int64
	buffer     []byte // for what processes send
	// ready is the process of the next task, running that of the one that runs; both may be nil.
	ready, running *taskProcess
	stops          stops
	printing       atomic.Pointer[printing] // of the task that runs, once it has a process

	mu   sync.Mutex // guards closing wake
	wake int        // an eventfd: a stop has been asked for; -1: closed
}

func openTaskSlot(e *Executor, index int) (*taskSlot, error) {
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, err
	}
	s := &taskSlot{executor: e, index: index, wake: wake, buffer: make([]byte, 64<<10)}
	for i := range s.subreapers {
		s.subreapers[i].socket = e.apart.sockets[subreapers*index+i]
	}
	s.stops.stop = func(uint64, plugins.StopReason) { s.awake() }
	s.ready, err = s.fork()
	return s, err
}

func (s *taskSlot) awake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wake >= 0 {
		_, _ = unix.Write(s.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

// Cancel implements plugins.Slot.
func (s *taskSlot) Cancel(seq uint64, reason plugins.StopReason) { s.stops.request(seq, reason) }

// Close implements plugins.Slot. The subreapers end what there is when their sockets end.
func (s *taskSlot) Close() {
	for _, p := range []*taskProcess{s.ready, s.running} {
		if p != nil {
			p.close()
		}
	}
	for _, u := range s.subreapers {
		_ = unix.Close(u.socket)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = unix.Close(s.wake)
	s.wake = -1
}

// taskHeader is what template.py reads of a task.
type taskHeader struct {
	Path        string `json:"path"`
	Function    string `json:"function"`
	Seq         uint64 `json:"seq"`
	ID          string `json:"id"`
	Type        string `json:"type"`
	Attempt     int    `json:"attempt"`
	Timeout     int64  `json:"timeout"`
	Labels      string `json:"labels"`
	Traceparent string `json:"traceparent"`
	// Caller is null for a task that runs as the worker.
	Caller *caller `json:"caller"`
	// Env and Cwd are null and "" for a task without them.
	Env map[string]string `json:"env"`
	Cwd string            `json:"cwd"`
}

// hasSurroundings reports whether t needs a process in which no script has been loaded, and
// that no other task has after it.
func hasSurroundings(t *plugins.Task) bool { return len(t.Env) > 0 || t.Cwd != "" }

// Run implements plugins.Slot.
func (s *taskSlot) Run(t *plugins.Task, emit plugins.Emitter) plugins.Outcome {
	if t.Probe {
		t = asProbe(t, s.executor.probes.thread)
	}
	path, err := s.executor.sources.path(t)
	if err != nil {
		return fault(plugins.Unrun, "OSError", err.Error())
	}
	as, err := s.executor.apart.callerOf(t)
	if err != nil {
		return failed("not_allowed", "PermissionError", "the task can't run as who has submitted it: "+err.Error())
	}
	header, err := json.Marshal(taskHeader{path, t.Function, t.Seq, t.ID, string(t.Type), t.Attempt, int64(t.Timeout), string(labelsJSON(t.Labels)),
		t.Traceparent, as, t.Env, t.Cwd})
	if err != nil {
		return fault(plugins.Unrun, "ExecutorError", err.Error())
	}
	if reason := s.stops.begin(t.Seq, t.Timeout); reason != 0 {
		return stopped(reason)
	}
	began := time.Now()
	defer s.endPrinting()
	r := &taskRun{slot: s, task: t, emit: emit, began: began, aheadAt: began.Add(aheadAfter), frame: taskFrame(header, t.Params)}
	err = r.watch()
	reason := s.stops.end()
	if err != nil {
		s.discard()
		o := fault(r.ranAtAll(), "ExecutorError", err.Error())
		o.Spent = errors.Is(err, errSubreaperGone) || errors.Is(err, errJammed)
		return o
	}
	o := r.outcome(reason)
	s.keep(r.reason == 0 && !r.last && o.Fault == plugins.NoFault)
	return o
}

// Printed implements plugins.Printer.
func (s *taskSlot) Printed() { s.printing.Load().show() }

func (s *taskSlot) beginPrinting(p *taskProcess, emit plugins.Emitter) {
	s.endPrinting()
	s.printing.Store(&printing{emit: emit, fresh: func(to plugins.Stream) string { return p.output[to-plugins.Stdout].fresh() }})
}

func (s *taskSlot) endPrinting() { s.printing.Swap(nil).end() }

// Idle implements plugins.Idler: a fork after the Result has gone is on no task's way.
func (s *taskSlot) Idle() {
	if s.readReports() == nil {
		_ = s.ahead() // an error: whoever is to fork the next process finds it again
	}
}

// ahead has the process of the next task forked, if that is to have another, there is none yet, and it is possible
// now.
func (s *taskSlot) ahead() (err error) {
	if s.ready != nil || s.running != nil && s.running.tasks < s.executor.apart.maxTasks {
		return nil
	}
	if s.ready, err = s.fork(); errors.Is(err, errSubreaperGone) {
		return err
	}
	return nil
}

// discard gives the process of the task up.
func (s *taskSlot) discard() {
	if s.running != nil {
		s.running.signal(syscall.SIGKILL)
		s.running.close()
		s.running = nil
	}
}

// keep keeps the process for the next task, if it may have one. One that was to stop may not: a
// signal may still be on its way there.
func (s *taskSlot) keep(may bool) {
	if s.running == nil {
		return
	}
	if s.running.ended {
		s.running.close()
		s.running = nil
	} else if may && s.running.tasks < s.executor.apart.maxTasks {
		s.running, s.ready = nil, s.running
	} else {
		s.discard()
	}
}

// died is the end of a task whose process has ended before it said how the task ended.
func (s *taskSlot) died(p *taskProcess) plugins.Outcome {
	status := p.end.waitStatus()
	limit := s.executor.apart.cpuTime
	switch {
	case p.end.what == 'X':
		return fault(plugins.Unrun, "OSError", fmt.Sprintf("a process can't be had: %s", syscall.Errno(p.end.status)))
	case limit > 0 && (status.Signaled() && (status.Signal() == syscall.SIGXCPU || status.Signal() == syscall.SIGKILL && p.end.cpu() >= limit)):
		o := failed("cpu_time", "CPUTime", fmt.Sprintf("the task has used up its CPU time, %s (pool.cpu_time)", limit))
		o.Error.ExitCode = 128 + int(status.Signal())
		return o
	case status.Signaled():
		o := failed("exit", "SystemExit", fmt.Sprintf("the task's process was ended by a signal: %s", status.Signal()))
		o.Error.ExitCode = 128 + int(status.Signal())
		return o
	}
	o := failed("exit", "SystemExit", fmt.Sprintf("the task's process ended with exit code %d before the script returned", status.ExitStatus()))
	o.Error.ExitCode = status.ExitStatus()
	return o
}
