package python

import (
	"syscall"
	"time"

	"cpulb/plugins"
)

// stop does what is due to a task that is to stop.
func (r *taskRun) stop(now time.Time) {
	p := r.slot.running
	if r.reason == 0 {
		r.ask(p, now)
	}
	if p == nil {
		return
	}
	if !r.raiseAt.IsZero() && !now.Before(r.raiseAt) {
		r.raiseAt, r.raising = time.Time{}, true
		r.killBy(now.Add(hungAfter))
		p.signal(raiseStop)
	}
	if p.starved && r.judged && !r.killed {
		p.starved, r.judged = false, false
		r.killBy(now.Add(hungAfter))
	}
	if !r.killAt.IsZero() && !now.Before(r.killAt) {
		r.killAt = time.Time{}
		if !r.raised && !r.judged && now.Before(r.stopAt.Add(cleansUpFor)) {
			r.judged = true
			r.killBy(r.stopAt.Add(cleansUpFor)) // should the subreaper not
			p.endHung()
			return
		}
		r.killed, r.raiseAt = true, time.Time{}
		p.signal(syscall.SIGKILL)
	}
}

// ask tells the process of a stop that has been asked for. A task that has no process yet does not begin.
func (r *taskRun) ask(p *taskProcess, now time.Time) {
	r.reason = r.slot.stops.pending(r.task.Seq)
	switch {
	case r.reason == 0:
		return
	case p == nil:
		r.answered, r.heeded, r.result = true, true, stopped(r.reason)
		return
	case r.reason == plugins.StopTimedOut:
		p.signal(askTimedOut)
	default:
		p.signal(askCancelled)
	}
	r.stopAt = now
	r.killBy(now.Add(hungAfter))
}

// killBy says when the task is to be killed. Its stop has an end, whatever the process says.
func (r *taskRun) killBy(at time.Time) {
	if last := r.stopAt.Add(r.slot.executor.interruptAfter + hungAfter + cleansUpFor); at.After(last) {
		at = last
	}
	r.killAt = at
}

// canSee: the script can see that it is to stop, and may have that noticed.
func (r *taskRun) canSee(awaits bool) {
	if r.reason == 0 || r.killed || r.asked {
		return
	}
	r.asked, r.raiseAt = true, time.Now()
	if awaits || r.reason == plugins.StopCancelled {
		r.raiseAt = r.raiseAt.Add(r.slot.executor.interruptAfter)
	}
	r.killBy(r.raiseAt.Add(hungAfter))
}
