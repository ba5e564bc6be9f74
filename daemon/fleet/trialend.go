package fleet

import (
	"context"
	"fmt"
	"slices"
	"time"

	"cpulb/daemon/canary"
	"cpulb/daemon/effects"
)

// The tests of package canary know attempts that have ended, and a canary that hangs ends
// none. So when its time is over a canary gets no more tasks, and has as long again to end
// those that it has. What then still runs has run for at least that long, and is compared
// with what the old program's workers, all of them, ended meanwhile.

const (
	// late is by how much a task may run longer than the old program's longest, as for the
	// run times of those that have ended.
	lateFactor, lateSlack = 1.25, 100 * time.Microsecond
	// lateByChance is how likely it may be that chance alone has given the canary the longest
	// tasks.
	lateByChance = 0.01
)

// pace is how an entry point's attempts, which began during a trial, have ended.
type pace struct {
	old     int           // by workers of the old program
	longest time.Duration // of these
	tried   int           // by the canary
}

// notePace notes an attempt that has ended.
func (t *Trial) notePace(entry string, tried bool, run time.Duration) {
	p := t.paces[entry]
	if p == nil {
		if len(t.paces) == canary.Entries {
			return
		}
		p = &pace{}
		t.paces[entry] = p
	}
	if tried {
		p.tried++
		return
	}
	p.old++
	p.longest = max(p.longest, run)
}

// entry names a task's entry point to people; each pool has its own.
func (pl *Place) entry() string {
	x := pl.hold.Info()
	return fmt.Sprintf("%s:%s in pool %s", x.ScriptPath, x.Function, pl.slot.pool.name)
}

// close has the canaries get no more tasks.
func (t *Trial) close() {
	t.closed = true
	if t.running() == 0 {
		close(t.emptied)
	}
}

// running counts the tasks that canaries have.
func (t *Trial) running() (n int) {
	t.each(func(*Place) { n++ })
	return n
}

// each calls f with the places of the tasks that the canaries got.
func (t *Trial) each(f func(pl *Place)) {
	for _, p := range t.pools {
		if w := p.tryout.canary.worker; w != nil {
			for _, s := range w.slots {
				for _, pl := range s.places {
					if pl.during == t {
						f(pl)
					}
				}
			}
		}
	}
}

// leftTrial notes that a task has left a slot.
func (pl *Place) leftTrial() {
	t := pl.during
	if t == nil || !t.closed || len(t.pools) == 0 || t.running() > 0 {
		return
	}
	select {
	case <-t.emptied:
	default:
		close(t.emptied)
	}
}

// late returns why the tasks that the canaries have not ended say that the new program is
// worse; nil: they don't. It is not worse where the old program's take as long.
func (t *Trial) late(now time.Duration) error {
	running := map[string][]time.Duration{}
	t.each(func(pl *Place) {
		if pl.hold.Runs() {
			entry := pl.entry()
			running[entry] = append(running[entry], now-pl.began)
		}
	})
	for entry, all := range running {
		p := t.paces[entry]
		if p == nil || p.old == 0 {
			continue
		}
		most := max(p.longest, t.oldest(entry, now))
		var late int
		for _, d := range all {
			if d > time.Duration(lateFactor*float64(most))+lateSlack {
				late++
			}
		}
		if late == 0 || p.tried > 0 && byChance(late, p.tried+len(all), p.old) > lateByChance {
			continue
		}
		return fmt.Errorf("%d of %d tasks of %s have not ended, and run for %s at least; %d ended in workers of the old program meanwhile, the longest took %s",
			late, p.tried+len(all), entry, least(all, late).Round(time.Millisecond), p.old, p.longest.Round(time.Millisecond))
	}
	return nil
}

// oldest returns for how long the longest task runs that workers of the old program have got
// in the trial, of an entry point.
func (t *Trial) oldest(entry string, now time.Duration) (d time.Duration) {
	for _, p := range t.pools {
		for _, s := range p.all() {
			if s.kind == trying || s.worker == nil {
				continue
			}
			for _, slot := range s.worker.slots {
				for _, pl := range slot.places {
					if pl.during == t && pl.hold.Runs() && pl.entry() == entry {
						d = max(d, now-pl.began)
					}
				}
			}
		}
	}
	return d
}

// byChance is how likely all of the late longest of tried and old attempts are among the tried
// ones, if both sides are alike.
func byChance(late, tried, old int) float64 {
	p := 1.0
	for i := range late {
		p *= float64(tried-i) / float64(tried+old-i)
	}
	return p
}

// least returns the smallest of the n largest.
func least(all []time.Duration, n int) time.Duration {
	slices.Sort(all)
	return all[len(all)-n]
}

// await waits until the canaries have ended what they have, at most for d.
func (t *Trial) await(ctx context.Context, f *Fleet, d time.Duration) (stopped error) {
	f.do(func(*effects.List) { t.close() })
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-t.emptied:
	case <-timer.C:
	case <-t.over:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}
