package wasm

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"cpulb/plugins"
	"cpulb/plugins/program"
	"cpulb/plugins/wasm/sandbox"
)

// slot implements plugins.Slot. Its sandbox is started for its first task, and ahead of the next
// by one that has cost it.
type slot struct {
	executor *Executor
	index    int
	stops    *program.Stops
	process  *process // nil: none
	used     bool     // it has had a task
	program.Printing

	mu   sync.Mutex
	seq  uint64             // of the task that runs
	stop context.CancelFunc // of that task; nil: none runs
}

// Cancel implements plugins.Slot.
func (s *slot) Cancel(seq uint64, reason plugins.StopReason) { s.stops.Request(seq, reason) }

// stopRun ends the task with that seq. It does nothing if another one runs by now.
func (s *slot) stopRun(seq uint64, _ plugins.StopReason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop != nil && s.seq == seq {
		s.stop()
	}
}

func (s *slot) setStop(seq uint64, stop context.CancelFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq, s.stop = seq, stop
}

// Close implements plugins.Slot.
func (s *slot) Close() {
	if s.process != nil {
		s.process.close()
	}
}

// Idle implements plugins.Idler: it has a sandbox started while nobody waits for it. An error
// is met by the next task.
func (s *slot) Idle() {
	s.replace()
	if s.process == nil && s.used {
		s.process, _ = s.executor.startProcess(s.executor.sandbox, true)
	}
}

// replace ends a sandbox that is not to have another task.
func (s *slot) replace() {
	most := s.executor.settings.maxTasks
	if p := s.process; p != nil && (p.failed || most > 0 && p.tasks >= most) {
		p.close()
		s.process = nil
	}
}

// Run implements plugins.Slot.
func (s *slot) Run(t *plugins.Task, emit plugins.Emitter) plugins.Outcome {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s.setStop(t.Seq, cancel)
	defer s.setStop(t.Seq, nil)
	if reason := s.stops.Begin(t.Seq, t.Timeout); reason != 0 {
		return program.Stopped(reason)
	}
	r, err := s.prepare(ctx, t, emit)
	if err == nil {
		s.Printing.Begin(r.output, r.stderr, emit)
		defer s.Printing.End()
		err = s.attempt(ctx, r)
	}
	reason := s.stops.End()
	switch {
	case r != nil && (r.begun || err == nil):
		return r.outcome(err, reason)
	case reason != 0 && ctx.Err() != nil:
		return program.Stopped(reason)
	}
	return unbegun(err)
}

// prepare finds what t is to run.
func (s *slot) prepare(ctx context.Context, t *plugins.Task, emit plugins.Emitter) (*run, error) {
	e := s.executor
	r := &run{slot: s, output: program.NewOutput(e.settings.mode, e.conf.ResultBytes, e.conf.OutputBytes, emit),
		stderr: program.NewHead(e.conf.OutputBytes), events: program.NewEvents(emit), input: &input{}}
	var err error
	if t.Probe {
		r.module = &module{name: sum(probeModule()), code: probeModule()}
		r.request.Function = sandbox.Main
		return r, e.modules.ready(ctx, r.module)
	}
	if t.ScriptPath == "" {
		return nil, refuse("script_syntax", "WasmError", "a module is a file; the text of a script can't be one")
	}
	args, err := program.Arguments(t.Params)
	if err != nil {
		return nil, refuse("bad_params", "ValueError", "%s", err)
	}
	r.request = sandbox.Request{Function: t.Function, Args: append([]string{t.ScriptPath}, args...)}
	if t.Function == "" {
		r.request.Function = sandbox.Main
	}
	if r.request.Env, err = s.environ(t); err != nil {
		return nil, err
	}
	if strings.ContainsRune(t.ScriptPath, 0) {
		return nil, refuse("script_not_found", "ValueError", "script_path has a NUL character")
	}
	_ = program.WriteInput(r.input, t.Params) // it takes everything
	if r.module, err = e.modules.find(t.ScriptPath); err != nil {
		return nil, err
	}
	return r, e.modules.ready(ctx, r.module)
}

// input is what a module reads from its standard input.
type input struct{ bytes []byte }

// Write implements io.Writer.
func (i *input) Write(p []byte) (int, error) { i.bytes = append(i.bytes, p...); return len(p), nil }

// environ is the whole environment of a module: what the task brings, and what it may know of itself.
func (s *slot) environ(t *plugins.Task) ([]string, error) {
	var env []string
	for _, name := range slices.Sorted(maps.Keys(t.Env)) {
		value := t.Env[name]
		switch {
		case name == "" || strings.ContainsAny(name, "=\x00") || strings.Contains(value, "\x00"):
			return nil, refuse("bad_env", "ValueError", "env: %q: a name must not be empty or have \"=\", and neither it nor its value a NUL character", name)
		case strings.HasPrefix(name, program.Reserved):
			return nil, refuse("bad_env", "ValueError", "env: %q: names that begin with %s are not for tasks to set", name, program.Reserved)
		}
		env = append(env, name+"="+value)
	}
	return append(env, program.Context(t, &s.executor.conf, s.index)...), nil
}

// attempt has the sandbox run r. One that has ended before anything of the module ran, killed
// by the kernel while it was idle, is replaced once.
func (s *slot) attempt(ctx context.Context, r *run) error {
	for again := false; ; again = true {
		err := s.once(ctx, r)
		var refused *refusal
		if err == nil || r.begun || ctx.Err() != nil || errors.As(err, &refused) {
			return err
		}
		switch {
		case again && errors.Is(err, errEnded): // a new one has read it: it is what that died of
			return refuse("script_syntax", "WasmError", "it can't be loaded: %s", err)
		case again:
			return err
		}
	}
}

// errEnded is matched when a sandbox has ended by itself before the module ran.
var errEnded = errors.New("its sandbox has ended")

// once sends r to a sandbox and waits for its end.
func (s *slot) once(ctx context.Context, r *run) (err error) {
	s.replace()
	if s.process == nil {
		if s.process, err = s.executor.startProcess(s.executor.sandbox, true); err != nil {
			return err
		}
	}
	p := s.process
	p.tasks++
	s.used = true
	r.process, r.request.Module = p, r.module.name
	has, forget := p.has(r.module.name)
	r.request.Forget = forget
	var code []byte
	if !has {
		if code, err = r.module.bytes(); err != nil {
			p.failed = true // it will be asked to have what it was not given
			return err
		}
	}
	stop := context.AfterFunc(ctx, p.kill)
	defer func() {
		if !stop() {
			p.failed = true // it has been killed, or is about to be
		}
	}()
	if err = p.send(&r.request, code, r.input.bytes); err == nil {
		r.end, err = p.receive(r.take)
	}
	if err != nil && !r.begun && ctx.Err() == nil {
		p.close()
		err = fmt.Errorf("%w: %s", errEnded, p.words())
	}
	return err
}

// run is one attempt at a task.
type run struct {
	slot    *slot
	module  *module
	request sandbox.Request
	input   *input
	output  *program.Output
	stderr  *program.Head
	events  *program.Events
	process *process
	begun   bool
	end     *sandbox.Report // nil: it has none
	spent   *meter          // of its CPU time; nil: it has no bound
	at      time.Time       // of its begin
}

// take takes a frame.
func (r *run) take(kind sandbox.Kind, payload []byte) (err error) {
	switch kind {
	case sandbox.Started:
		r.begun, r.at = true, time.Now()
		if most := r.slot.executor.settings.cpuTime; most > 0 {
			r.spent = startMeter(r.process, most)
		}
	case sandbox.Output:
		_, err = r.output.Write(payload)
	case sandbox.Errors:
		_, err = r.stderr.Write(payload)
	case sandbox.Events:
		_, err = r.events.Write(payload)
	default:
		err = fmt.Errorf("%w: a frame of kind %q", sandbox.ErrWire, kind)
	}
	return err
}
