// Package fleettest has a launcher whose processes are goroutines of the test: they
// run tasks, crash, freeze and grow as a test asks them to. With testing/synctest
// around it, hours of a fleet's life take milliseconds.
package fleettest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"cpulb/daemon/fleet"
	"cpulb/plugins"
	"cpulb/plugins/supervisor"
)

// ErrClosed is returned by Start after Close.
var ErrClosed = errors.New("the launcher is closed")

// Launcher implements fleet.Launcher. The zero Launcher is ready for use.
type Launcher struct {
	// Runs, which may be nil, has what runs in the processes.
	Runs *Runs
	// Acts, if not nil, returns the task that a process of this spec runs instead of the one
	// that it was sent: so programs differ. It is called by all processes, and not for probes.
	Acts func(supervisor.Spec, *plugins.Task) *plugins.Task

	mu     sync.Mutex
	all    []*Process
	takes  time.Duration
	asks   bool
	about  plugins.Description
	says   func(slot int, t *plugins.Task) []plugins.Event
	refuse func(supervisor.Spec) error
	closed bool
}

// Takes sets how long a process takes from now on to start.
func (l *Launcher) Takes(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.takes = d
}

// NoClaims has the processes that start from now on not share their claims.
func (l *Launcher) NoClaims() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asks = true
}

// Describes sets what the processes that start from now on can do.
func (l *Launcher) Describes(d plugins.Description) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.about = d
}

// DescribesLocked is Describes for the function of Refuse.
func (l *Launcher) DescribesLocked(d plugins.Description) { l.about = d }

// Says has the slots of processes that start from now on say this of each task that they
// claim, and run nothing; nil: they run it.
func (l *Launcher) Says(f func(slot int, t *plugins.Task) []plugins.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.says = f
}

// Refuse has starts fail for which f returns an error; nil: none.
func (l *Launcher) Refuse(f func(supervisor.Spec) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refuse = f
}

// Start implements fleet.Launcher.
func (l *Launcher) Start(ctx context.Context, spec supervisor.Spec, handler func(first, count int) plugins.Handler) (fleet.Process, error) {
	l.mu.Lock()
	takes := l.takes
	l.mu.Unlock()
	if takes > 0 { // a timer that is due at once brings the race detector down in a bubble
		select {
		case <-time.After(takes):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, ErrClosed
	}
	if l.refuse != nil {
		if err := l.refuse(spec); err != nil {
			return nil, err
		}
	}
	p := newProcess(len(l.all)+1, spec)
	p.runs, p.about, p.says = l.Runs, l.about, l.says
	p.acts = l.Acts
	for i := range spec.Slots + spec.LoopSlots {
		s := &slot{process: p, index: i, handler: handler(i, 1), loop: i >= spec.Slots, shares: !l.asks, claimed: map[uint64]bool{}}
		p.slots = append(p.slots, s)
	}
	for _, s := range p.slots {
		p.running.Go(s.run)
	}
	l.all = append(l.all, p)
	return p, nil
}

// Close implements fleet.Launcher.
func (l *Launcher) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
}

// All returns every process that was started, in that order.
func (l *Launcher) All() []*Process {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]*Process(nil), l.all...)
}

// Living returns the processes that have not ended.
func (l *Launcher) Living() (living []*Process) {
	for _, p := range l.All() {
		if !p.Ended() {
			living = append(living, p)
		}
	}
	return living
}

// With returns the process with this number, as PID tells it.
func (l *Launcher) With(pid int) *Process { return l.All()[pid-1] }

// String lists the processes for a failure's message.
func (l *Launcher) String() (text string) {
	for _, p := range l.All() {
		text += fmt.Sprintf("%d %s %v; ", p.pid, p.Spec.ID, map[bool]string{true: "ended: " + p.how, false: "lives"}[p.Ended()])
	}
	return text
}
