package fleet

import (
	"context"

	"cpulb/internal/procfs"
	"cpulb/plugins"
	"cpulb/plugins/supervisor"
)

// Launcher starts workers' processes. Supervised makes one of a *supervisor.Launcher;
// fleettest.Launcher is one for tests.
type Launcher interface {
	// Start returns once the process's slots are open. handler is called once for each
	// connection, which has count slots from first on. An error leaves nothing behind.
	Start(ctx context.Context, spec supervisor.Spec, handler func(first, count int) plugins.Handler) (Process, error)
	// Close lets no further process start.
	Close()
}

// Conn takes the tasks of one slot.
type Conn interface {
	// Send does not wait. An error means that the slot is lost.
	Send(tasks ...*plugins.Task) error
	// Shares reports whether the worker shares its claims; only then the others may be
	// called, which answer at once. Recall takes a task back unless it has been claimed. Fate
	// tells what the worker has done with it, also once it has ended.
	Shares() bool
	Recall(slot int, seq uint64) plugins.Claim
	Fate(slot int, seq uint64) plugins.Fate
}

// Process is a worker's process, whose slots are open.
type Process interface {
	PID() int
	// Runtime says what runs in it, e.g. "CPython 3.11.2".
	Runtime() string
	// Description is what the executor is and can do, as it is configured; it does not change.
	Description() plugins.Description
	// CPUsAllowed is the kernel's list for the process at its start.
	CPUsAllowed() string
	MemoryLimit() supervisor.MemoryLimit
	Slot(i int) Conn

	// Cancel asks for a task to stop; Recall takes one back that has not begun.
	Cancel(ctx context.Context, slot int, seq uint64, r plugins.StopReason) (plugins.Claim, error)
	Recall(ctx context.Context, slot int, seq uint64) (plugins.Claim, error)
	// Stats is answered as long as the process can answer anything.
	Stats(ctx context.Context) (plugins.Stats, error)
	Stacks(ctx context.Context) (string, error)
	ResidentBytes() (int64, error)
	// Pin moves all its threads to these CPUs.
	Pin(cpus []int) error

	// Stop lets running tasks end as long as ctx allows, then ends the process; Kill
	// ends it at once. After either, and after any other end, Done is closed.
	Stop(ctx context.Context)
	Kill()
	Done() <-chan struct{}
	// Exit says how it ended, LastStderr what it wrote last; only after Done.
	Exit() string
	LastStderr() []string
}

// Supervised returns the Launcher of real processes.
func Supervised(l *supervisor.Launcher) Launcher { return supervised{l} }

type supervised struct{ *supervisor.Launcher }

// Start implements Launcher.
func (l supervised) Start(ctx context.Context, spec supervisor.Spec, handler func(first, count int) plugins.Handler) (Process, error) {
	p, err := l.Launcher.Start(ctx, spec, handler)
	if err != nil {
		return nil, err // not a nil process in an interface
	}
	return process{p}, nil
}

type process struct{ *supervisor.Process }

// Slot implements Process.
func (p process) Slot(i int) Conn { return p.Process.Slot(i) }

// ResidentBytes implements Process.
func (p process) ResidentBytes() (int64, error) { return procfs.ResidentBytes(p.PID()) }
