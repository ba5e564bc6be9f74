// Package executortest holds what executors are tested with: Run, the suite that
// every executor has to pass in a process of its own, a Recorder for what comes
// up a slot, and Fake, an executor in Go whose scripts are the suite's behaviours.
//
// The suite tests the contract (plugins.Executor, executor.proto) through real slots
// and control calls. It does not test features of one language, such as tracebacks.
package executortest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"cpulb/daemon/task"
	"cpulb/plugins"
)

// Fake is an executor whose scripts are built in; FakeScripts are their paths.
type Fake struct{}

// FakeScripts returns the Fake's script for each Behaviour.
func FakeScripts() map[Behaviour]string {
	scripts := map[Behaviour]string{}
	for b := range fakeScripts() {
		scripts[b] = "/" + string(b)
	}
	return scripts
}

func fakeScripts() map[Behaviour]func(*fakeSlot, *plugins.Task, plugins.Emitter) plugins.Outcome {
	return map[Behaviour]func(*fakeSlot, *plugins.Task, plugins.Emitter) plugins.Outcome{
		Faulted: (*fakeSlot).faulted, Breaks: (*fakeSlot).breaks,
		Echo: (*fakeSlot).echo, Fails: (*fakeSlot).fails, Panics: (*fakeSlot).panics, Events: (*fakeSlot).events,
		BlocksUntilStopped: (*fakeSlot).block, StrayOutput: (*fakeSlot).strayOutput, Crashes: (*fakeSlot).crashes,
		SpawnsChild: (*fakeSlot).spawnsChild, ChildEscapes: (*fakeSlot).childEscapes, Environment: (*fakeSlot).environment,
		HugeResult: (*fakeSlot).hugeResult, LateEvents: (*fakeSlot).lateEvents, NotText: (*fakeSlot).notText,
		WaitsForFile: (*fakeSlot).waitsForFile, PrintsMuch: (*fakeSlot).printsMuch, PrintsAndBlocks: (*fakeSlot).printsAndBlocks, WorkingDirectory: (*fakeSlot).workingDirectory,
		EatsMemory: (*fakeSlot).eatsMemory, ChildVanishes: (*fakeSlot).childVanishes, Faults: (*fakeSlot).faults, Exits: (*fakeSlot).exits,
	}
}

// Describe implements plugins.Executor.
func (Fake) Describe() plugins.Description {
	return plugins.Description{Name: "fake", Version: "1", CanCancel: true, HasEvents: true, HasOutput: true, Settings: []plugins.Setting{
		{Name: "refuse", Kind: plugins.StringSetting, Description: "Configure refuses its value."},
		{Name: "die", Kind: plugins.StringSetting, Description: "The process ends in Configure, after these words."},
		{Name: "number", Kind: plugins.IntegerSetting, Description: "A number that nothing depends on.", Default: "0"},
	}}
}

// Configure implements plugins.Executor. Its settings make it fail: "refuse" as
// bad, "die" as a runtime does that can't start.
func (Fake) Configure(_ context.Context, c plugins.Configuration) (string, error) {
	if text := c.Settings["refuse"]; text != "" {
		return "", fmt.Errorf("%w: refuse: %s", plugins.ErrBadSetting, text)
	}
	if text := c.Settings["number"]; text != "" {
		if _, err := strconv.Atoi(text); err != nil {
			return "", fmt.Errorf("%w: number: %w", plugins.ErrBadSetting, err)
		}
	}
	if text := c.Settings["die"]; text != "" {
		fmt.Fprintln(os.Stderr, "not for the log: go-plugin has taken os.Stderr")
		_, _ = syscall.Write(2, []byte(text+"\n"))
		os.Exit(7)
	}
	return "fake runtime", nil
}

// OpenSlot implements plugins.Executor.
func (Fake) OpenSlot(int) (plugins.Slot, error) {
	return &fakeSlot{stops: map[uint64]plugins.StopReason{}, changed: make(chan struct{})}, nil
}

// Health implements plugins.Executor.
func (Fake) Health(ctx context.Context) (time.Duration, error) { return 0, ctx.Err() }

type fakeSlot struct {
	late sync.WaitGroup
	show atomic.Pointer[func()] // shows what the task has printed; nil: nothing new

	mu      sync.Mutex
	ended   uint64 // the seq that ran last
	broken  bool   // it fails every task
	stops   map[uint64]plugins.StopReason
	changed chan struct{} // closed and replaced when stops changes
}

// Run implements plugins.Slot.
func (s *fakeSlot) Run(t *plugins.Task, emit plugins.Emitter) plugins.Outcome {
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ended = t.Seq
		delete(s.stops, t.Seq)
	}()
	if s.broken {
		return fault()
	}
	if t.Probe {
		return completed(true)
	}
	run, ok := fakeScripts()[behaviourOf(t.ScriptPath)]
	if !ok {
		return failed("FileNotFoundError", t.ScriptPath, "script_not_found")
	}
	if t.Timeout > 0 {
		defer time.AfterFunc(t.Timeout, func() { s.Cancel(t.Seq, plugins.StopTimedOut) }).Stop()
	}
	return run(s, t, emit)
}

// behaviourOf is what a script does: its name says it, without its extension.
func behaviourOf(path string) Behaviour {
	name, extension, _ := strings.Cut(filepath.Base(path), ".")
	if extension == "is-not-there" {
		return ""
	}
	return Behaviour(strings.ReplaceAll(name, "_", "-"))
}

// Cancel implements plugins.Slot. It may come before the Run that it means.
func (s *fakeSlot) Cancel(seq uint64, reason plugins.StopReason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seq > s.ended {
		s.stops[seq] = reason
		close(s.changed)
		s.changed = make(chan struct{})
	}
}

// Close implements plugins.Slot.
func (s *fakeSlot) Close() { s.late.Wait() }

func failed(kind, message, code string) plugins.Outcome {
	return plugins.Outcome{Status: task.Failed, Error: &task.Error{Type: kind, Message: message, Code: code}}
}

func completed(data any) plugins.Outcome {
	text, err := json.Marshal(data)
	if err != nil {
		return failed("TypeError", err.Error(), "bad_return_value")
	}
	return plugins.Outcome{Status: task.Completed, Data: text}
}

func (s *fakeSlot) echo(t *plugins.Task, _ plugins.Emitter) plugins.Outcome {
	return plugins.Outcome{Status: task.Completed, Data: t.Params, Stdout: t.ID + "\n"}
}

func fault() plugins.Outcome {
	o := failed("ExecutorError", "as asked", "executor")
	o.Fault = plugins.Unrun
	return o
}

func (s *fakeSlot) faulted(*plugins.Task, plugins.Emitter) plugins.Outcome { return fault() }

func (s *fakeSlot) breaks(t *plugins.Task, _ plugins.Emitter) plugins.Outcome {
	s.broken = true // only the slot's thread uses it
	return plugins.Outcome{Status: task.Completed, Data: t.Params}
}

func (s *fakeSlot) fails(*plugins.Task, plugins.Emitter) plugins.Outcome {
	return failed("ValueError", "as asked", "exception")
}

func (s *fakeSlot) panics(*plugins.Task, plugins.Emitter) plugins.Outcome { panic("as asked") }

func (s *fakeSlot) events(_ *plugins.Task, emit plugins.Emitter) plugins.Outcome {
	emit.Progress(0.5, "half way")
	emit.Log("info", "hello")
	for i := range 3 {
		emit.Partial(fmt.Append(nil, i+1))
	}
	return completed(nil)
}

func (s *fakeSlot) block(t *plugins.Task, _ plugins.Emitter) plugins.Outcome {
	for {
		s.mu.Lock()
		reason, changed := s.stops[t.Seq], s.changed
		s.mu.Unlock()
		switch reason {
		case plugins.StopCancelled:
			return plugins.Outcome{Status: task.Cancelled, Error: &task.Error{Type: "TaskCancelled", Code: "cancelled"}}
		case plugins.StopTimedOut:
			return plugins.Outcome{Status: task.TimedOut, Error: &task.Error{Type: "TaskTimeout", Code: "timed_out"}}
		}
		<-changed
	}
}

func (s *fakeSlot) printsAndBlocks(t *plugins.Task, emit plugins.Emitter) plugins.Outcome {
	const text = "begun\n"
	show := func() { emit.Output(plugins.Stdout, text) }
	s.show.Store(&show)
	defer s.show.Store(nil)
	o := s.block(t, emit)
	o.Stdout = text
	return o
}

// Printed implements plugins.Printer: all that it prints it has printed at once.
func (s *fakeSlot) Printed() {
	if show := s.show.Swap(nil); show != nil {
		(*show)()
	}
}

// strayOutput writes one line of 1 MB past every stream that a runtime has.
func (s *fakeSlot) strayOutput(*plugins.Task, plugins.Emitter) plugins.Outcome {
	line := []byte(strings.Repeat("x", 1_000_000) + "\n")
	for fd := 1; fd <= 2; fd++ {
		for rest := line; len(rest) > 0; {
			n, err := syscall.Write(fd, rest)
			if err != nil && !errors.Is(err, syscall.EINTR) {
				return failed("OSError", fmt.Sprintf("descriptor %d: %v", fd, err), "exception")
			}
			rest = rest[max(n, 0):]
		}
	}
	return completed(len(line))
}

func (s *fakeSlot) environment(*plugins.Task, plugins.Emitter) plugins.Outcome {
	env := map[string]string{}
	for _, kv := range os.Environ() {
		name, value, _ := strings.Cut(kv, "=")
		env[name] = value
	}
	return completed(env)
}

func (s *fakeSlot) hugeResult(*plugins.Task, plugins.Emitter) plugins.Outcome {
	return completed(strings.Repeat("x", SuiteResultBytes))
}

// lateEvents emits after it has returned, too.
func (s *fakeSlot) lateEvents(_ *plugins.Task, emit plugins.Emitter) plugins.Outcome {
	var begun sync.WaitGroup
	begun.Add(1)
	s.late.Go(func() {
		for i := range 200 {
			emit.Partial([]byte("1"))
			if i == 0 {
				begun.Done()
			}
		}
	})
	begun.Wait()
	return completed(nil)
}

func (s *fakeSlot) notText(*plugins.Task, plugins.Emitter) plugins.Outcome {
	return plugins.Outcome{Status: task.Completed, Data: []byte("1"), Stdout: "\xff"}
}

func (s *fakeSlot) printsMuch(t *plugins.Task, _ plugins.Emitter) plugins.Outcome {
	return plugins.Outcome{Status: task.Completed, Data: t.Params, Stdout: strings.Repeat("x", 1_000_000)}
}

// waitsForFile is for executors that can't stop a task, so it can't be stopped.
func (s *fakeSlot) waitsForFile(t *plugins.Task, _ plugins.Emitter) plugins.Outcome {
	var path string
	if err := json.Unmarshal(t.Params, &path); err != nil {
		return failed("TypeError", err.Error(), "exception")
	}
	for {
		if _, err := os.Stat(path); err == nil {
			return plugins.Outcome{Status: task.Completed, Data: t.Params}
		}
		time.Sleep(time.Millisecond)
	}
}

func (s *fakeSlot) workingDirectory(*plugins.Task, plugins.Emitter) plugins.Outcome {
	dir, err := os.Getwd()
	if err != nil {
		return failed("OSError", err.Error(), "exception")
	}
	return completed(dir)
}
