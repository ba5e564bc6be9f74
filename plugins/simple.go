package plugins

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"cpulb/daemon/task"
)

// Simple is an Executor made of one function: all that a small one needs. What needs the
// thread of a slot, an event loop or more of an Outcome implements Executor itself.
type Simple struct {
	// Name and Version are the executor's, Settings those that it takes.
	Name, Version string
	Settings      []Setting
	// Configure, which may be nil, gets the worker's configuration before any task runs. An
	// error that a setting has caused matches ErrBadSetting and names it.
	Configure func(c Configuration) error
	// Run runs one task, on a goroutine of its slot: several run at once. ctx is cancelled when
	// the task is to stop, also when its timeout has passed; a Run that does not return then
	// costs its worker. The result is what json.Marshal makes of it. An error is the script's
	// failure, with the code "exception" unless it is a *Failure. A panic is the executor's.
	Run func(ctx context.Context, c *Call) (result any, err error)
}

// Call is one attempt at a task. Progress, Log and Partial reach the caller at once.
type Call struct {
	*Task
	Emitter
	// Stdout and Stderr keep what the script prints, up to limits.output_size. The caller sees it
	// while the task runs; Output is not for a Run to call.
	Stdout, Stderr Output
}

// Failure is an error of a script with a code, see Error.code in executor.proto.
type Failure struct{ Type, Code, Message string }

func (f *Failure) Error() string { return f.Message }

// Script returns the text of the script, whether it came as a path or as source.
func (c *Call) Script() (string, error) {
	if c.ScriptPath == "" {
		return c.Source, nil
	}
	text, err := os.ReadFile(c.ScriptPath)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", &Failure{"FileNotFoundError", "script_not_found", err.Error()}
	case err != nil:
		return "", &Failure{"OSError", "script_unreadable", err.Error()}
	}
	return string(text), nil
}

// Output is an io.Writer that keeps the first bytes, and notes that there were more.
type Output struct {
	mu   sync.Mutex
	most int64
	text []byte
	more bool
	// shown is what has been passed on.
	shown Shown
}

// Write implements io.Writer. It never fails.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	keep := p
	if room := o.most - int64(len(o.text)); int64(len(p)) > room {
		keep, o.more = p[:max(room, 0)], true
	}
	o.text = append(o.text, keep...)
	return len(p), nil
}

// fresh returns what there is more than it returned before.
func (o *Output) fresh() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.shown.Next(o.text[o.shown.Bytes():])
}

// kept returns what there is, as UTF-8.
func (o *Output) kept() (string, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.ToValidUTF8(string(o.text), "\uFFFD"), o.more
}

// ServeSimple runs s as an executor process; it is the main function of one and does not
// return before the daemon ends it.
func ServeSimple(s Simple) { Serve(&simple{Simple: s}) }

type simple struct {
	Simple
	output int64
}

// Describe implements Executor.
func (s *simple) Describe() Description {
	return Description{Name: s.Name, Version: s.Version, CanCancel: true, HasEvents: true, HasOutput: true, Settings: s.Settings}
}

// Configure implements Executor.
func (s *simple) Configure(_ context.Context, c Configuration) (string, error) {
	s.output = c.OutputBytes
	if s.Simple.Configure == nil {
		return "", nil
	}
	return "", s.Simple.Configure(c)
}

// OpenSlot implements Executor.
func (s *simple) OpenSlot(int) (Slot, error) {
	return &simpleSlot{executor: s, asked: map[uint64]StopReason{}}, nil
}

// Health implements Executor.
func (s *simple) Health(ctx context.Context) (time.Duration, error) { return 0, ctx.Err() }

// simpleSlot runs one task at a time.
type simpleSlot struct {
	executor *simple

	mu    sync.Mutex
	ended uint64                  // the seq that ran last
	runs  uint64                  // the seq that runs; 0: none
	call  *Call                   // of that one
	stop  context.CancelCauseFunc // of that one
	asked map[uint64]StopReason   // of those to come
}

// stopped is why a context was cancelled.
type stopped struct{ reason StopReason }

func (s stopped) Error() string {
	if s.reason == StopTimedOut {
		return "the task's time is over"
	}
	return "the task was cancelled"
}

// Cancel implements Slot. It may come before the Run that it means, and after it.
func (s *simpleSlot) Cancel(seq uint64, reason StopReason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case seq == s.runs:
		s.stop(stopped{reason})
	case seq > s.ended:
		s.asked[seq] = reason
	}
}

// Printed implements Printer.
func (s *simpleSlot) Printed() {
	s.mu.Lock()
	c := s.call
	s.mu.Unlock()
	if c != nil {
		c.Emitter.Output(Stdout, c.Stdout.fresh())
		c.Emitter.Output(Stderr, c.Stderr.fresh())
	}
}

// begin makes the context of a task.
func (s *simpleSlot) begin(c *Call) (context.Context, context.CancelCauseFunc) {
	ctx, stop := context.WithCancelCause(context.Background())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs, s.stop, s.call = c.Seq, stop, c
	if reason, asked := s.asked[c.Seq]; asked {
		stop(stopped{reason})
	}
	return ctx, stop
}

func (s *simpleSlot) end(seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended, s.runs, s.stop, s.call = seq, 0, nil, nil
	delete(s.asked, seq)
}

// Run implements Slot.
func (s *simpleSlot) Run(t *Task, emit Emitter) Outcome {
	if t.Probe { // the slot's goroutine, the way of all tasks, works
		return Outcome{Status: task.Completed, Data: []byte("true")}
	}
	most := s.executor.output
	output := func() Output { return Output{most: most, shown: Shown{Most: most}} }
	c := &Call{Task: t, Emitter: emit, Stdout: output(), Stderr: output()}
	ctx, stop := s.begin(c)
	defer s.end(t.Seq)
	defer stop(nil)
	if t.Timeout > 0 {
		defer time.AfterFunc(t.Timeout, func() { stop(stopped{StopTimedOut}) }).Stop()
	}
	began := time.Now()
	result, err := s.executor.Run(ctx, c)
	o := outcomeOf(ctx, result, err)
	o.RunTime = time.Since(began)
	var more bool
	o.Stdout, o.Truncated = c.Stdout.kept()
	o.Stderr, more = c.Stderr.kept()
	o.Truncated = o.Truncated || more
	return o
}

// Close implements Slot.
func (s *simpleSlot) Close() {}

// outcomeOf is how a Run has ended.
func outcomeOf(ctx context.Context, result any, err error) Outcome {
	var why stopped
	var f *Failure
	switch {
	case err != nil && errors.As(context.Cause(ctx), &why):
		status := task.Cancelled
		if why.reason == StopTimedOut {
			status = task.TimedOut
		}
		return Outcome{Status: status, Error: untold(status)}
	case errors.As(err, &f):
		return Outcome{Status: task.Failed, Error: &task.Error{Type: f.Type, Code: f.Code, Message: f.Message}}
	case err != nil:
		return Outcome{Status: task.Failed, Error: &task.Error{Type: fmt.Sprintf("%T", err), Code: "exception", Message: err.Error()}}
	}
	data, err := json.Marshal(result)
	if err != nil {
		return Outcome{Status: task.Failed, Error: &task.Error{Type: "TypeError", Code: "bad_return_value", Message: err.Error()}}
	}
	return Outcome{Status: task.Completed, Data: data}
}
