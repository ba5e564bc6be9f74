package fleettest

import (
	"context"
	"errors"
	"sync"
	"time"

	"cpulb/daemon/fleet"
	"cpulb/plugins"
	"cpulb/plugins/supervisor"
)

var errEnded = errors.New("the process has ended")

// Process implements fleet.Process.
type Process struct {
	// Spec is what it was started with.
	Spec    supervisor.Spec
	pid     int
	runs    *Runs
	acts    func(supervisor.Spec, *plugins.Task) *plugins.Task
	about   plugins.Description
	running sync.WaitGroup

	mu       sync.Mutex
	slots    []*slot
	how      string
	dying    bool
	stopping bool
	frozen   chan struct{} // nil: it is not; closed when it thaws
	pause    chan struct{} // nil: it is not; closed when it goes on
	pinned   []int
	onPin    func() error
	rss      int64
	asked    int
	linger   time.Duration
	// spoilt: every task fails; probesToo: probes, too.
	spoilt, probesToo bool
	hang              bool                                            // probes
	says              func(slot int, t *plugins.Task) []plugins.Event // see Launcher.Says
	claim             plugins.Claim                                   // see AnswersWith; 0: the truth
	holds             bool                                            // what its slots tell

	ended chan struct{} // closed at its end
	done  chan struct{} // closed once everything of it has been read
}

func newProcess(pid int, spec supervisor.Spec) *Process {
	return &Process{Spec: spec, pid: pid, ended: make(chan struct{}), done: make(chan struct{})}
}

// PID implements fleet.Process; it numbers the processes of a Launcher from 1.
func (p *Process) PID() int { return p.pid }

// Runtime implements fleet.Process.
func (p *Process) Runtime() string { return "fake" }

// Description implements fleet.Process.
func (p *Process) Description() plugins.Description { return p.about }

// CPUsAllowed implements fleet.Process.
func (p *Process) CPUsAllowed() string { return "0" }

// MemoryLimit implements fleet.Process.
func (p *Process) MemoryLimit() supervisor.MemoryLimit { return supervisor.MemoryUnlimited }

// Handler is the daemon's end of a slot.
func (p *Process) Handler(i int) plugins.Handler { return p.slots[i].handler }

// Tell sends events by a slot, whatever they say.
func (p *Process) Tell(i int, events ...plugins.Event) {
	for n := range events {
		events[n].Slot = i
	}
	p.slots[i].hand(events)
}

// Break ends a slot's connection.
func (p *Process) Break(i int, err error) { p.slots[i].lose(err) }

// Claims sets what a slot's claims say of a task.
func (p *Process) Claims(i int, seq uint64, fate plugins.Fate) {
	s := p.slots[i]
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.claimed, seq)
	if fate == plugins.FateClaimed || fate == plugins.FateDone {
		s.claimed[seq] = fate == plugins.FateDone
	}
}

// Loses has a slot lose so many of the tasks that it is sent next, as if a script read them.
func (p *Process) Loses(i, tasks int) {
	s := p.slots[i]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loses = tasks
}

// Slot implements fleet.Process.
func (p *Process) Slot(i int) fleet.Conn { return p.slots[i] }

// answers waits until the process can answer, or for ctx.
func (p *Process) answers(ctx context.Context) error {
	p.mu.Lock()
	p.asked++
	frozen := p.frozen
	p.mu.Unlock()
	if frozen == nil {
		frozen = closed()
	}
	select {
	case <-p.ended:
		return errEnded
	case <-frozen:
		return ctx.Err()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func closed() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// AnswersWith has Cancel and Recall answer so, whatever is true.
func (p *Process) AnswersWith(c plugins.Claim) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.claim = c
}

func (p *Process) answersWith() plugins.Claim {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.claim
}

// Cancel implements fleet.Process.
func (p *Process) Cancel(ctx context.Context, slot int, seq uint64, r plugins.StopReason) (plugins.Claim, error) {
	if err := p.answers(ctx); err != nil {
		return 0, err
	}
	if c := p.answersWith(); c != 0 {
		return c, nil
	}
	return p.slots[slot].cancel(seq, r), nil
}

// Recall implements fleet.Process.
func (p *Process) Recall(ctx context.Context, slot int, seq uint64) (plugins.Claim, error) {
	if err := p.answers(ctx); err != nil {
		return 0, err
	}
	if c := p.answersWith(); c != 0 {
		return c, nil
	}
	return p.slots[slot].recall(seq), nil
}

// Stats implements fleet.Process.
func (p *Process) Stats(ctx context.Context) (plugins.Stats, error) {
	return plugins.Stats{CPUsAllowed: p.CPUsAllowed()}, p.answers(ctx)
}

// Stacks implements fleet.Process.
func (p *Process) Stacks(ctx context.Context) (string, error) {
	return "slot 0: idle\n", p.answers(ctx)
}

// Asked counts the questions that it was asked.
func (p *Process) Asked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

// ResidentBytes implements fleet.Process.
func (p *Process) ResidentBytes() (int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dying {
		return 0, errEnded
	}
	return p.rss, nil
}

// Grow sets what ResidentBytes returns.
func (p *Process) Grow(bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rss = bytes
}

// Pin implements fleet.Process.
func (p *Process) Pin(cpus []int) error {
	p.mu.Lock()
	onPin := p.onPin
	p.mu.Unlock()
	if onPin != nil {
		if err := onPin(); err != nil {
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pinned = cpus
	return nil
}

// Pinned returns where Pin has put it, nil if it has not.
func (p *Process) Pinned() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pinned
}

// OnPin has Pin call f first, and return its error.
func (p *Process) OnPin(f func() error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.onPin = f
}

// spoil has every task fail from now on.
func (p *Process) spoil(probesToo bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spoilt, p.probesToo = true, probesToo
}

// fails reports whether the process fails a task, or a probe.
func (p *Process) fails(probe bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.spoilt && (!probe || p.probesToo)
}

// HangProbes has no probe come back.
func (p *Process) HangProbes() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hang = true
}

func (p *Process) hangsProbes() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hang
}

// HoldResults has the process tell nothing of its tasks until TellResults: so does one that
// waits for more to tell.
func (p *Process) HoldResults() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holds = true
}

// TellResults ends HoldResults.
func (p *Process) TellResults() {
	p.mu.Lock()
	p.holds = false
	p.mu.Unlock()
	for _, s := range p.slots {
		s.flush()
	}
}

func (p *Process) holdsResults() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.holds
}

// isStopping: what has not begun will not.
func (p *Process) isStopping() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stopping
}

// Die ends the process, for a reason in words of wait(2).
func (p *Process) Die(how string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dying {
		return
	}
	p.dying, p.how = true, how
	close(p.ended)
	linger := p.linger
	go func() {
		p.running.Wait()
		time.Sleep(linger)
		close(p.done)
	}()
}

// Linger sets how long it takes from the process's end until that is seen.
func (p *Process) Linger(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.linger = d
}

// Kill implements fleet.Process.
func (p *Process) Kill() { p.Die("signal: killed") }

// Stop implements fleet.Process.
func (p *Process) Stop(ctx context.Context) {
	p.mu.Lock()
	p.stopping = true
	p.mu.Unlock()
	p.GoOn()
	for _, s := range p.slots {
		select {
		case <-s.idle():
			continue
		case <-ctx.Done():
		case <-p.ended:
		}
		break
	}
	if p.answers(ctx) == nil {
		p.Die("exit status 0")
	}
	p.Kill()
	<-p.done
}

// Done implements fleet.Process.
func (p *Process) Done() <-chan struct{} { return p.done }

// Ended reports whether it has.
func (p *Process) Ended() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// Exit implements fleet.Process.
func (p *Process) Exit() string { return p.how }

// LastStderr implements fleet.Process.
func (p *Process) LastStderr() []string { return []string{"last words"} }
