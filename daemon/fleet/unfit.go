package fleet

import (
	"fmt"
	"slices"
	"time"

	"cpulb/balancer"
	"cpulb/daemon/effects"
	"cpulb/daemon/task"
	"cpulb/plugins"

	"github.com/hashicorp/go-hclog"
)

// A worker can be alive and yet of no use: a script has taken away what the executor
// needs, so that every task fails there at once. Being idle most of the time, such a
// worker would get all tasks. So an attempt that the executor failed goes back to the
// owner, and its slot gets a probe instead of another task. A worker that fails the
// probe is unfit, as is one that says so with a Result (plugins.Outcome.Spent), or fails
// faultsInARow attempts though it passes every probe: it is fenced and replaced. Which
// script did it is not known; the log names those that ran there last.

const (
	// probeTimeout is how long a worker has for a probe.
	probeTimeout = 5 * time.Second
	// faultsInARow attempts that the executor failed, with none between that it did not,
	// are reason enough to replace a worker. It is more than one task that may have run
	// is allowed, so that one with which no executor gets along costs none.
	faultsInARow = 4
	// keptRuns is how many of a worker's last tasks the log names.
	keptRuns = 3
	// recurs is how many workers of a pool become unfit within recurrence until the pool
	// is degraded.
	recurs     = 3
	recurrence = time.Minute
)

// unfitness is why a worker is not given tasks any more.
const unfitness = "it can't run tasks any more"

// probe is a slot's probe, see Slot.probe.
type probe struct {
	seq uint64 // 0: there is none
	// lease is that of the task that failed.
	lease balancer.Lease
	// faults are to be told to the owner once it has come back.
	faults []fault
	// late fires when it has not come back.
	late *time.Timer
}

// fault is an attempt that the executor failed.
type fault struct {
	hold    Hold
	outcome plugins.Outcome
}

// isAsked reports whether the slot waits for the answer to the probe that seq means.
func (p *probe) isAsked(seq uint64) bool { return p.seq != 0 && p.seq == seq }

// faulted deals with an attempt that the executor failed. freed has to follow.
func (pl *Place) faulted(o plugins.Outcome, fx *effects.List) {
	s, w, owner := pl.slot, pl.slot.worker, pl.slot.pool.fleet.Owner
	h := pl.leave()
	fx.Log(hclog.Warn, "the executor failed a task", "worker", w.spec.ID, "pid", w.process.PID(), "task_id", h.Info().ID,
		"script_path", h.Info().ScriptPath, "error", reason(o))
	if w.seat.kind == trying {
		pl.faultedInTrial(h, o, fx)
		return
	}
	w.faults.add(h.Caller(), 1)
	switch {
	case !w.state.Load().TakesTasks():
		owner.Faulted(h, o, fx)
		return
	case w.faults.total >= faultsInARow || o.Spent:
		owner.Faulted(h, o, fx)
		w.unfit(nil, fx) // one that ran before may have done it, or these are what no executor gets along with
		return
	case s.probing.seq != 0: // for the one before it in the slot
		s.giveBack(pl.lease)
	default:
		s.recallWaiting(fx)
		s.probe(pl.lease, fx)
	}
	pl.left = true
	s.probing.faults = append(s.probing.faults, fault{h, o})
}

// tellFaults tells the owner of the attempts that have waited for the probe.
func (s *Slot) tellFaults(fx *effects.List) {
	all := s.probing.faults
	s.probing.faults = nil
	for _, f := range all {
		s.pool.fleet.Owner.Faulted(f.hold, f.outcome, fx)
	}
}

func reason(o plugins.Outcome) string {
	if o.Error == nil {
		return "it does not say why"
	}
	return o.Error.Type + ": " + o.Error.Message
}

// probe asks the worker whether it can run a task in this slot, which gets none meanwhile.
func (s *Slot) probe(l balancer.Lease, fx *effects.List) {
	s.seq++
	seq := s.seq
	if s.lane != nil {
		s.lane.balancer.Lengthen(l)
	}
	s.probed = seq
	s.probing = probe{seq: seq, lease: l, late: time.AfterFunc(probeTimeout, func() { asker{s}.probeIsLate(seq) })}
	fx.Frame(s, &plugins.Task{Slot: s.index, Seq: seq, ID: "probe", Type: task.CPUBound, Attempt: 1, Params: []byte("1"), Probe: true})
}

// answered is told how a probe ended. It reports whether a place has become free.
func (s *Slot) answered(sound bool, fx *effects.List) (freed bool) {
	s.probing.late.Stop()
	if !sound {
		s.worker.unfit(nil, fx)
	}
	s.tellFaults(fx)
	l := s.probing.lease
	s.probing = probe{}
	if sound {
		s.giveBack(l)
	}
	return sound
}

func (s asker) probeIsLate(seq uint64) {
	s.pool.fleet.do(func(fx *effects.List) {
		if s.probing.isAsked(seq) {
			s.answered(false, fx)
		}
	})
}

// unfit fences a worker that can't run tasks any more. by is the task that it says has
// done it; nil: it does not say.
func (w *Worker) unfit(by Hold, fx *effects.List) {
	if !w.state.Load().TakesTasks() {
		return
	}
	w.failedRoll("can't run tasks any more")
	if w.isUnfit = true; w.seat.kind == trying {
		w.failedTrial("can't run tasks any more", fx)
		w.drain(unfitness, fx)
		return
	}
	w.pool.noteUnfit()
	about := []any{"worker", w.spec.ID, "pid", w.process.PID(), "executor", w.spec.Executor, "command", w.spec.Command}
	var likely holders
	for _, r := range w.runs {
		likely.add(r.caller, 1)
	}
	for caller := range w.faults.of {
		likely.add(caller, 1)
	}
	if by != nil {
		likely = holders{of: map[uint32]int{by.Caller(): 1}}
		about = append(about, "task_id", by.Info().ID, "script_path", by.Info().ScriptPath)
	}
	w.pool.relief.blame(&likely, w.pool.fleet.Elapsed())
	fx.Log(hclog.Error, "worker can't run tasks any more", append(about, "ran_before", w.ranBefore())...)
	w.fence(unfitness, fx)
	for _, s := range w.slots {
		s.tellFaults(fx)
	}
}

// ran names a task that has run, whose params and labels are not kept for that.
type ran struct {
	id     task.ID
	script string
	caller uint32
}

func nameOf(h Hold) ran { return ran{h.Info().ID, h.Info().ScriptPath, h.Caller()} }

// String implements fmt.Stringer.
func (r ran) String() string { return fmt.Sprintf("%s (%s)", r.id, r.script) }

// noteRun notes a task that has ended in the worker.
func (w *Worker) noteRun(h Hold) {
	if len(w.runs) == keptRuns {
		w.runs = slices.Delete(w.runs, 0, 1)
	}
	w.runs = append(w.runs, nameOf(h))
}

// ranBefore names the tasks that ran in the worker last, the latest first, and those that
// still do.
func (w *Worker) ranBefore() []string {
	var all []string
	for _, s := range w.slots {
		for _, pl := range s.places {
			if pl.hold.Runs() && len(all) < keptRuns {
				all = append(all, nameOf(pl.hold).String())
			}
		}
	}
	for _, r := range slices.Backward(w.runs) {
		all = append(all, r.String())
	}
	return all
}

// noteUnfit notes that a worker of the pool has become unfit.
func (p *Pool) noteUnfit() {
	p.unfit++
	p.unfitAt = append(p.unfitAt, p.fleet.Elapsed())
	if len(p.unfitAt) > recurs {
		p.unfitAt = p.unfitAt[1:]
	}
}

// Unfit counts the workers that could not run tasks any more.
func (p *Pool) Unfit() int { return p.unfit }

// recurring says that workers of the pool become unfit again and again; "": they do not.
func (p *Pool) recurring() string {
	if len(p.unfitAt) < recurs || p.fleet.Elapsed()-p.unfitAt[0] > recurrence {
		return ""
	}
	return fmt.Sprintf("%d workers of the pool could not run tasks any more within %s; the log names what ran in them", recurs, recurrence)
}
