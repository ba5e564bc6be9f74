// Package exec is the executor that runs a program for each task: a binary, or a script in
// any language with an interpreter of its own.
//
// Guarantees. A task is one process with all that this starts: nothing of it is left when its
// Result leaves, whatever session, parent and environment it has given up. Whatever a program
// does is an Outcome of its own task, within the bounds of output and results; neither its
// output nor its input keeps the worker waiting after its end. No descriptor and no variable
// of the plumbing reaches it.
//
// Not guaranteed. Programs of one user can signal each other, their keepers and the worker, as
// any processes of one user can. One that ends its keeper ends itself, and costs the worker.
package exec

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"cpulb/plugins"
	"cpulb/plugins/program"

	"golang.org/x/sys/unix"
)

// sourcesFolder is in the worker's folder and has the sources of the tasks that run.
const sourcesFolder = "sources"

// Executor implements plugins.Executor.
type Executor struct {
	version     string
	conf        plugins.Configuration
	argv        []string // before the script's path
	interpreter string   // the file that argv[0] names
	mode        program.Mode
	grace       time.Duration
	envNames    []string // that tasks may set
	scriptDirs  []string // none: anywhere
	bounds      bounds
	asCaller    bool // tasks run as who has submitted them
	callers     callers
	environment []string // what all programs have
}

// New returns the executor; version is the program's own.
func New(version string) *Executor { return &Executor{version: version} }

// Describe implements plugins.Executor.
func (e *Executor) Describe() plugins.Description {
	return plugins.Description{Name: "exec", Version: e.version, CanCancel: true, HasEvents: true, HasOutput: true, CanIsolate: true, TakesEnv: true, TakesCwd: true,
		Settings: ownSettings()}
}

// Redescribe implements plugins.Redescriber.
func (e *Executor) Redescribe() plugins.Description {
	d := e.Describe()
	d.TakesEnv = len(e.envNames) > 0
	return d
}

// Configure implements plugins.Executor.
func (e *Executor) Configure(_ context.Context, c plugins.Configuration) (string, error) {
	if err := e.configure(c.Settings); err != nil {
		return "", err
	}
	if c.LoopSlots > 0 {
		return "", fmt.Errorf("%w: async_concurrency: the exec executor has no event loop", plugins.ErrBadSetting)
	}
	e.conf = c
	e.environment = os.Environ()
	sources := filepath.Join(c.RuntimeDir, sourcesFolder)
	if err := os.MkdirAll(sources, 0o700); err != nil {
		return "", err
	}
	if e.asCaller { // who knows the name of a file may open it there, if it is theirs
		for _, dir := range []string{c.RuntimeDir, sources} {
			if err := os.Chmod(dir, 0o711); err != nil {
				return "", err
			}
		}
	}
	// Programs of this user are not to read this process, which has other tasks' params, or to
	// take its descriptors.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return "", err
	}
	// Beside those that open slots: where a task has used up the processes that there may be,
	// no thread can be had.
	haveThreads(c.Slots + 4)
	if len(e.argv) > 0 {
		return e.interpreter, nil
	}
	return "", nil
}

// Health implements plugins.Executor.
func (e *Executor) Health(context.Context) (time.Duration, error) { return 0, nil }

// OpenSlot implements plugins.Executor.
func (e *Executor) OpenSlot(index int) (plugins.Slot, error) {
	if index < 0 || index >= e.conf.Slots {
		return nil, fmt.Errorf("slot %d is not one of %d", index, e.conf.Slots)
	}
	s := &slot{executor: e, index: index, chunk: make([]byte, 64<<10)}
	s.stops = program.NewStops(s.stop)
	return s, nil
}

// mayName reports whether tasks may set a variable.
func (e *Executor) mayName(name string) bool {
	return slices.Contains(e.envNames, name) || slices.Contains(e.envNames, anyName)
}
