package exec

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"cpulb/plugins"
	"cpulb/plugins/program"

	"golang.org/x/sys/unix"
)

// slot implements plugins.Slot. Its keeper is started by its first task: the worker has its
// bounds by then, and the keeper inherits them.
type slot struct {
	executor *Executor
	index    int
	keeper   *watched
	chunk    []byte // for what is read
	stops    *program.Stops
	rungs    atomic.Pointer[rungs] // of the task that runs; nil: none does
	program.Printing
}

// stop takes the first step of the ladder of that task. It does nothing if another one runs by now.
func (s *slot) stop(seq uint64, _ plugins.StopReason) {
	if r := s.rungs.Load(); r != nil && r.seq == seq {
		r.terminate()
	}
}

// Cancel implements plugins.Slot.
func (s *slot) Cancel(seq uint64, reason plugins.StopReason) { s.stops.Request(seq, reason) }

// Close implements plugins.Slot.
func (s *slot) Close() {
	if s.keeper != nil {
		s.keeper.close()
	}
}

// Run implements plugins.Slot.
func (s *slot) Run(t *plugins.Task, emit plugins.Emitter) plugins.Outcome {
	if reason := s.stops.Begin(t.Seq, t.Timeout); reason != 0 {
		return program.Stopped(reason)
	}
	began := time.Now()
	o, reason := s.run(t, emit)
	if reason == 0 {
		s.stops.End() // of a task that has not begun
	}
	o.RunTime = time.Since(began)
	return o
}

// run runs t and returns its end.
func (s *slot) run(t *plugins.Task, emit plugins.Emitter) (plugins.Outcome, plugins.StopReason) {
	o, c, err := s.prepare(t)
	if err != nil {
		return unbegun(err), 0
	}
	defer c.close()
	if s.keeper == nil {
		if s.keeper, err = startKeeper(s.executor.asCaller); err != nil {
			return program.Fault(plugins.Unrun, "OSError", err.Error()), 0
		}
	}
	r := &run{slot: s, task: t, order: o}
	if err := r.open(c.script, emit); err != nil {
		r.close()
		return program.Fault(plugins.Unrun, "OSError", err.Error()), 0
	}
	s.Printing.Begin(r.output, r.errors, emit)
	defer s.Printing.End()
	s.keeper.serial++
	r.rungs = &rungs{seq: t.Seq, socket: s.keeper.socket, serial: s.keeper.serial, grace: s.executor.grace}
	s.rungs.Store(r.rungs)
	if reason := s.stops.Pending(t.Seq); reason != 0 {
		s.stop(t.Seq, reason) // it came before there was a ladder
	}
	err = r.watch()
	s.rungs.Store(nil)
	r.rungs.end()
	reason := s.stops.End()
	r.close()
	if err != nil {
		s.keeper.close()
		s.keeper = nil
	}
	return r.outcome(err, reason), reason
}

// unbegun is the end of a task of which nothing has run.
func unbegun(err error) plugins.Outcome {
	var r *refusal
	if errors.As(err, &r) {
		return program.Failed(r.code, r.kind, r.message)
	}
	return program.Fault(plugins.Unrun, "OSError", err.Error())
}

// prepare finds what t executes, and in what.
func (s *slot) prepare(t *plugins.Task) (*order, *command, error) {
	e := s.executor
	o := &order{bounds: e.bounds, dir: t.Cwd}
	if t.Probe {
		o.path, o.argv, o.dir, o.env, o.bounds = "/proc/self/exe", []string{"cpulb-exec", "-version"}, "/", e.environment, bounds{}
		return o, &command{script: -1}, nil
	}
	c, err := e.commandOf(t, s.index)
	if err != nil {
		return nil, nil, err
	}
	o.path, o.argv, o.byScriptFD = c.path, c.argv, c.script >= 0
	if o.dir == "" && t.ScriptPath != "" {
		o.dir = filepath.Dir(t.ScriptPath)
	} else if o.dir == "" {
		o.dir = "/"
	}
	if err = s.become(o, t); err == nil {
		err = s.environ(o, t)
	}
	if err == nil && strings.Contains(o.dir+strings.Join(o.argv, ""), "\x00") {
		err = refuse("bad_params", "ValueError", "cwd or script_path has a NUL character")
	}
	if err != nil {
		c.close()
		return nil, nil, err
	}
	return o, c, nil
}

// become makes o run as who has submitted t, where that is so.
func (s *slot) become(o *order, t *plugins.Task) error {
	if !s.executor.asCaller {
		return nil
	}
	if t.RunAs == nil {
		return refuse("not_allowed", "PermissionError", "the task can't run as who has submitted it: nobody knows who that is")
	}
	who, err := s.executor.callers.of(*t.RunAs)
	if err != nil {
		return refuse("not_allowed", "PermissionError", "the task can't run as who has submitted it: %s", err)
	}
	o.who = &who.credential
	o.env = []string{"HOME=" + who.home, "USER=" + who.name, "LOGNAME=" + who.name}
	return nil
}

// environ completes the program's environment: the worker's, the user's, the task's, and last
// what no task may set.
func (s *slot) environ(o *order, t *plugins.Task) error {
	e := s.executor
	vars := map[string]string{}
	add := func(list []string) {
		for _, entry := range list {
			name, value, _ := strings.Cut(entry, "=")
			vars[name] = value
		}
	}
	add(e.environment)
	add(o.env)
	for name, value := range t.Env {
		switch {
		case name == "" || strings.ContainsAny(name, "=\x00") || strings.Contains(value, "\x00"):
			return refuse("bad_env", "ValueError", "env: %q: a name must not be empty or have \"=\", and neither it nor its value a NUL character", name)
		case strings.HasPrefix(name, program.Reserved):
			return refuse("bad_env", "ValueError", "env: %q: names that begin with %s are not for tasks to set", name, program.Reserved)
		case !e.mayName(name):
			return refuse("bad_env", "PermissionError", "env: %q: tasks may not set it (the executor's env_names: %s)", name, strings.Join(e.envNames, ", "))
		}
		vars[name] = value
	}
	add(program.Context(t, &e.conf, s.index))
	add([]string{fmt.Sprintf("CPULB_EVENTS_FD=%d", eventsNumber)})
	o.env = nil
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		o.env = append(o.env, name+"="+vars[name])
	}
	return nil
}

// eventsNumber is the descriptor of the events, as programs have it.
const eventsNumber = 3

// chown has who a program runs as own a descriptor of it, so that it can open /dev/stdout.
func (c *credential) chown(fd int) error {
	if c == nil {
		return nil
	}
	if err := unix.Fchown(fd, int(c.uid), int(c.gid)); err != nil {
		return fmt.Errorf("the output's owner: %w", err)
	}
	return nil
}

// refused is the end of a task whose program could not be started.
func (r *run) refused(number syscall.Errno, stage int64) plugins.Outcome {
	if stage == atFork || number == unix.EMFILE || number == unix.ENFILE || number == unix.ENOMEM {
		return program.Fault(plugins.Unrun, "OSError", "a process can't be had: "+number.Error())
	}
	path, dir := r.order.path, r.order.dir
	if r.order.byScriptFD {
		path = r.task.ScriptPath
	}
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return program.Failed("bad_cwd", "OSError", fmt.Sprintf("the working directory %s: %s", dir, err))
	}
	switch number {
	case unix.ENOTDIR:
		return program.Failed("bad_cwd", "NotADirectoryError", fmt.Sprintf("the working directory %s is not a directory", dir))
	case unix.ENOENT:
		return program.Failed("script_unreadable", "FileNotFoundError", fmt.Sprintf("%s can't be executed: its interpreter, that of its #! line or of its binary format, does not exist", path))
	case unix.ENOEXEC:
		return program.Failed("script_unreadable", "OSError", fmt.Sprintf("%s is neither a binary for this machine nor a script with a #! line", path))
	case unix.E2BIG:
		return program.Failed("bad_params", "OSError", "the arguments and the environment are larger than the system allows: params that are a list are the arguments, and params {\"argv\": [], …} are on the standard input alone")
	case unix.ETXTBSY:
		return program.Failed("script_unreadable", "OSError", fmt.Sprintf("%s is open for writing", path))
	case unix.EACCES, unix.EPERM:
		return program.Failed("script_unreadable", "PermissionError",
			fmt.Sprintf("%s can't be executed in %s: %s, by the rights of one of the two, of its interpreter, or of a file system without exec", path, dir, number))
	}
	return program.Failed("script_unreadable", "OSError", fmt.Sprintf("%s can't be executed: %s", path, number))
}
