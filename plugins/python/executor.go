// Package python is the executor that runs Python scripts in an embedded
// CPython: the contract of package plugins over embedpy. Half of it is Python, in
// runtime/, which is part of the binary.
//
// Guarantees. Whatever a script does short of ending the process is an Outcome of
// its own task: an exception, sys.exit, a value that is no JSON, a file that is
// not there. A stop reaches the task it was meant for or none. A worker with one slot
// is exclusive: the task that runs owns the process, and what it prints by whatever
// means is in its Outcome. docs/scripts.md has what the tasks of a shared worker own.
//
// Not guaranteed. A script that waits outside Python (a sleep, a lock, a long C
// call) does not notice a stop before it is back; os._exit and a crash in a C
// extension end the worker. Tasks of one worker share the interpreter and its
// modules.
package python

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"cpulb/embedpy"
	"cpulb/plugins"

	"golang.org/x/sys/unix"
)

// defaultInterruptAfter is how long a script that is cancelled may watch
// context.cancelled before it is interrupted.
const defaultInterruptAfter = 50 * time.Millisecond

// Executor implements plugins.Executor. A process can configure one.
type Executor struct {
	version        string
	conf           plugins.Configuration
	interruptAfter time.Duration
	preloads       []string
	scriptDirs     string           // one a line; empty: any script will do
	onMain         func(func())     // see New
	capture        *embedpy.Capture // of an exclusive worker
	interp         *embedpy.Interpreter
	newSlot        *embedpy.Object // the Python class Slot
	stopAwaiting   *embedpy.Object // the Python function stop
	settle         *embedpy.Object // the Python function settle
	beat, stacks   *embedpy.Object // Python functions of those names
	sources        sources
	probes         probes
	descriptors    unix.Rlimit // at the start
	spent          atomic.Bool // see spent.go
	// For how long scripts have run since somebody looked whether descriptors and memory are left.
	sinceDescriptors, sinceMemory ran
	mainThread                    *embedpy.Thread // while OnSlotThread serves an exclusive slot
	slots                         []atomic.Pointer[slot]
	loop                          atomic.Pointer[loop] // nil: none
	apart                         *isolation           // nil: scripts run in this process
}

// New returns the executor; version is the program's own. onMain calls its argument,
// which does not return, on the process's first thread, which becomes Python's main
// thread; with nil that is another one, and signals do not interrupt what a script
// waits for.
func New(version string, onMain func(func())) *Executor {
	return &Executor{version: version, onMain: onMain}
}

// Describe implements plugins.Executor.
func (e *Executor) Describe() plugins.Description {
	return plugins.Description{Name: "python", Version: e.version, CanCancel: true, HasEvents: true, HasOutput: true, HasLoop: true, CanIsolate: true,
		Settings: ownSettings()}
}

// ownSettings are those that an operator may give; the others come from the pool.
func ownSettings() []plugins.Setting {
	return []plugins.Setting{
		{Name: "venv", Kind: plugins.StringSetting, Description: "absolute path of a virtual environment, whose packages scripts see", Default: "none"},
		{Name: "preload", Kind: plugins.ListSetting, Description: "modules that a worker loads at its start", Default: "none"},
		{Name: "interrupt_after", Kind: plugins.DurationSetting, Description: "from when a cancelled task can see that, until TaskCancelled is raised in it",
			Default: defaultInterruptAfter.String()},
	}
}

// Redescribe implements plugins.Redescriber: only a process of its own has an environment and
// a working folder that no other task sees, and it has no event loop.
func (e *Executor) Redescribe() plugins.Description {
	d := e.Describe()
	d.TakesEnv, d.TakesCwd, d.HasLoop = e.apart != nil, e.apart != nil, e.apart == nil
	return d
}

// Configure implements plugins.Executor. Its settings are "venv", "preload" and
// "script_dirs", as docs/configuration.md has them, and "interrupt_after", the time
// between a cancel's flag and its exception, which the conformance suite sets.
func (e *Executor) Configure(ctx context.Context, c plugins.Configuration) (string, error) {
	start, err := e.settings(c.Settings)
	if err != nil {
		return "", err
	}
	e.conf = c
	e.slots = make([]atomic.Pointer[slot], c.Slots)
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &e.descriptors); err != nil {
		return "", err
	}
	if e.apart != nil {
		return e.isolate(ctx, start.Executable)
	}
	start.Posted, start.OnMain = e.posted, e.onMain
	if e.exclusive() {
		if e.capture, err = embedpy.OpenCapture(c.OutputBytes); err != nil {
			return "", err
		}
	}
	if e.interp, err = embedpy.Start(start); err != nil {
		return "", err
	}
	if err := loadRuntime(e.interp); err != nil {
		return "", err
	}
	if err := e.installSources(); err != nil {
		return "", err
	}
	exclusive := int64(0)
	if e.exclusive() {
		exclusive = 1
	}
	if err := e.onMainThread("install", embedpy.Int(exclusive), embedpy.Str(c.RuntimeDir), embedpy.Int(int64(c.DaemonUID))); err != nil {
		return "", err
	}
	if err := e.preload(e.preloads); err != nil {
		return "", err
	}
	if err := e.beside(ctx, "note_reference"); err != nil {
		return "", err
	}
	if err := e.onMainThread("ready"); err != nil {
		return "", err
	}
	for _, o := range []struct {
		module, name string
		to           **embedpy.Object
	}{
		{"cpulb.slot", "Slot", &e.newSlot},
		{"cpulb.slot", "stop", &e.stopAwaiting},
		{"cpulb.slot", "settle", &e.settle},
		{"cpulb.stacks", "beat", &e.beat},
		{"cpulb.stacks", "all_stacks", &e.stacks},
	} {
		if *o.to, err = e.attr(o.module, o.name); err != nil {
			return "", err
		}
	}
	// The first beat comes before the first task, or one that takes the GIL for good
	// would keep its own stacks from being written.
	if _, err := e.Health(ctx); err != nil {
		return "", err
	}
	return "CPython " + e.interp.Version(), nil
}

func (e *Executor) settings(given map[string]string) (start embedpy.Config, err error) {
	e.interruptAfter = defaultInterruptAfter
	setters := e.setters(&start, given["isolation"])
	for _, name := range slices.Sorted(maps.Keys(given)) {
		set, known := setters[name]
		if !known {
			return start, fmt.Errorf("%w: %s: the python executor has no such setting (allowed: %s)", plugins.ErrBadSetting,
				name, strings.Join(slices.Sorted(maps.Keys(setters)), ", "))
		}
		if err := set(given[name]); err != nil {
			return start, err
		}
	}
	return start, nil
}

// setters are what reads each setting.
func (e *Executor) setters(start *embedpy.Config, isolated string) map[string]func(value string) error {
	all := map[string]func(value string) error{
		"venv": func(value string) (err error) {
			start.Executable, err = venvExecutable(value, embedpy.LinkedVersion())
			return err
		},
		"preload": func(value string) error {
			if json.Unmarshal([]byte(value), &e.preloads) != nil {
				return fmt.Errorf("%w: preload: %q is not a JSON array of names of modules", plugins.ErrBadSetting, value)
			}
			return nil
		},
		"script_dirs": func(value string) error {
			e.scriptDirs = value
			return nil
		},
		"interrupt_after": func(value string) (err error) {
			if e.interruptAfter, err = time.ParseDuration(value); err != nil || e.interruptAfter < 0 {
				return fmt.Errorf("%w: interrupt_after: %q is not a duration such as \"50ms\"", plugins.ErrBadSetting, value)
			}
			return nil
		},
	}
	for _, name := range isolationSettings() {
		all[name] = func(value string) error { return e.isolationSetting(name, value, isolated) }
	}
	return all
}

// exclusive reports whether tasks run one at a time: each then owns the process.
func (e *Executor) exclusive() bool {
	return e.apart == nil && e.conf.Slots == 1 && e.conf.LoopSlots == 0
}

// onMainThread calls a function of the runtime's process module on Python's main
// thread.
func (e *Executor) onMainThread(name string, args ...embedpy.Value) error {
	function, err := e.attr("cpulb.process", name)
	if err != nil {
		return err
	}
	e.interp.Main(func(t *embedpy.Thread) { _, err = t.Call(function, args...) })
	return err
}

// beside calls a function of the runtime's process module on the thread that runs no
// task.
func (e *Executor) beside(ctx context.Context, name string) error {
	function, err := e.attr("cpulb.process", name)
	if err != nil {
		return err
	}
	_, err = e.ask(ctx, function)
	return err
}

// OnSlotThread implements plugins.ThreadHost: an exclusive worker's slot has Python's
// main thread.
func (e *Executor) OnSlotThread(_ int, serve func()) {
	if !e.exclusive() {
		plugins.OnThread(serve)
		return
	}
	e.interp.Main(func(t *embedpy.Thread) {
		e.mainThread = t
		serve()
	})
}

// installSources makes the folder for scripts that come as text, and has the
// runtime compile nothing but these and what is beneath the script_dirs, if any.
func (e *Executor) installSources() error {
	e.sources.dir = filepath.Join(e.conf.RuntimeDir, sourcesFolder)
	if err := os.MkdirAll(e.sources.dir, 0o700); err != nil {
		return err
	}
	if err := errors.Join(e.installProbes(), e.writeRules()); err != nil {
		return err
	}
	if e.scriptDirs == "" {
		return nil
	}
	install, err := e.attr("cpulb.confine", "install")
	if err != nil {
		return err
	}
	doErr := e.interp.Do(context.Background(), func(t *embedpy.Thread) {
		_, err = t.Call(install, embedpy.Str(e.scriptDirs), embedpy.Str(e.sources.dir))
	})
	if err != nil {
		err = fmt.Errorf("%w: script_dirs: %w", plugins.ErrBadSetting, err)
	}
	return errors.Join(doErr, err)
}

// attr finds what a module of the runtime defines.
func (e *Executor) attr(module, name string) (found *embedpy.Object, err error) {
	doErr := e.interp.Do(context.Background(), func(t *embedpy.Thread) { found, err = t.Attr(module, name) })
	if doErr != nil {
		return nil, doErr
	}
	return found, err
}

// OpenSlot implements plugins.Executor.
func (e *Executor) OpenSlot(index int) (plugins.Slot, error) {
	if index < 0 || index >= len(e.slots) {
		return nil, fmt.Errorf("slot %d is not one of %d", index, len(e.slots))
	}
	if e.apart != nil {
		return openTaskSlot(e, index)
	}
	s, err := openSlot(e, index)
	if err != nil {
		return nil, fmt.Errorf("slot %d: %w", index, err)
	}
	e.slots[index].Store(s)
	return s, nil
}

// Health implements plugins.Executor: it takes the GIL on a thread that runs no task, and
// puts off the writing of all stacks to the log.
func (e *Executor) Health(ctx context.Context) (time.Duration, error) {
	if e.apart != nil {
		return 0, e.apart.health()
	}
	began := time.Now()
	if _, err := e.ask(ctx, e.beat, embedpy.Float(e.conf.LockStall.Seconds())); err != nil {
		return 0, fmt.Errorf("the GIL could not be taken: %w", err)
	}
	return time.Since(began), nil
}

// Stacks implements plugins.Stacker.
func (e *Executor) Stacks(ctx context.Context) (string, error) {
	if e.apart != nil {
		return "each task has a process of its own, whose stacks are not listed\n", nil
	}
	return e.ask(ctx, e.stacks)
}

// ask calls a Python function on a thread that runs no task and returns the text that it
// answers with, if any. When ctx is done first, the answer is nobody's.
func (e *Executor) ask(ctx context.Context, function *embedpy.Object, args ...embedpy.Value) (string, error) {
	type answer struct {
		text string
		err  error
	}
	answered := make(chan answer, 1)
	err := e.interp.Do(ctx, func(t *embedpy.Thread) {
		r, err := t.Call(function, args...)
		if err == nil && r.Len() > 0 {
			answered <- answer{r.String(0), nil}
			return
		}
		answered <- answer{"", err}
	})
	if err != nil {
		return "", err
	}
	a := <-answered
	return a.text, a.err
}

// posted passes an event on to the slot, or the loop, of the task that sent it.
func (e *Executor) posted(p embedpy.Post) {
	if p.Kind == kindSpent {
		e.spent.Store(true)
		return
	}
	if p.Channel < uint64(len(e.slots)) {
		if s := e.slots[p.Channel].Load(); s != nil {
			s.posted(p)
		}
		return
	}
	if l := e.loop.Load(); l != nil {
		l.posted(p)
	}
}
