package ledger

import (
	"cmp"
	"slices"
	"time"

	"cpulb/daemon/queue"
)

// A daemon that dies takes the tasks along that ran. One of them may have killed it, and
// would do so after every start. Which one it was shows in how often each has run when
// the daemon died, its Losses: the killer was there every time, its neighbours were not.
//
// A death is a task's own, and counts in its Deaths, when it ran alone or when its Losses
// are ahead of all others that ran by at least clearLead: whoever merely ran when somebody
// killed the daemon by hand is ahead of a killer by one at most.
//
// What has been lost mostLosses times runs one at a time from then on, see Turns. So a
// killer and those who always ran with it come apart, and what runs beside it has few
// Losses: five deaths of the daemon are the most that a task causes, however many run
// beside it, and no neighbour of it is blamed (TestAKillerIsFoundAndItsNeighboursAreNot).
//
// Somebody who kills one daemon after the other, or a daemon that dies of something else at
// each start, would make a killer of a task that merely runs soon after each. So one that
// was to blame once does not run before the daemon has lived for a while without it: it is
// lost again only if the daemon dies just when it runs.

const (
	// mostLosses is how often a task may have run when the daemon died and run beside
	// others like it.
	mostLosses = 2
	// clearLead is by how many Losses one that is to blame is ahead of all others.
	clearLead = 2
	// MostDeaths is how many deaths of its own end a task.
	MostDeaths = 2
	// Doubt is how long the daemon is to live before one runs that is InDoubt.
	Doubt = 5 * time.Second
)

// Lose notes that the daemon died while these tasks ran, and returns the one that is to
// blame; nil: that can't be told.
func Lose(ran []*Record) (blamed *Record) {
	second := uint32(0)
	for _, r := range ran {
		r.Losses++
		switch {
		case blamed == nil || r.Losses > blamed.Losses:
			if blamed != nil {
				second = blamed.Losses
			}
			blamed = r
		case r.Losses > second:
			second = r.Losses
		}
	}
	if len(ran) > 1 && blamed.Losses < second+clearLead {
		return nil
	}
	if blamed != nil {
		blamed.Deaths++
	}
	return blamed
}

// Turns has those tasks run one at a time that were lost too often. They are all there
// before the first begins: only a start of the daemon makes them.
type Turns struct {
	waiting []turn
	// has is whose turn it is; nil: nobody's.
	has *Record
}

// turn is a task that waits for its turn, and when it may run then.
type turn struct {
	record *Record
	times  queue.Times
}

// TakesTurns reports whether r runs only when it is its turn.
func (r *Record) TakesTurns() bool { return r.Losses >= mostLosses }

// InDoubt reports whether one death more would end r, and daemons have died while it ran.
func (r *Record) InDoubt() bool { return r.Losses > 0 && r.Deaths > 0 }

// Add has r, which TakesTurns and may run at these times, wait for its turn.
func (t *Turns) Add(r *Record, times queue.Times) { t.waiting = append(t.waiting, turn{r, times}) }

// Blocks reports whether it is the turn of r, and others wait for theirs.
func (t *Turns) Blocks(r *Record) bool { return t.has == r && len(t.waiting) > 0 }

// Next ends the turn of r, and returns whose is the next, and when that may run; nil: it was
// not r's, or nobody waits. It is that of the first who may run at this uptime, or else may
// first: nobody waits for somebody else's time. Tasks that have ended meanwhile get none.
func (t *Turns) Next(r *Record, uptime time.Duration) (*Record, queue.Times) {
	if t.has != r {
		return nil, queue.Times{}
	}
	t.has = nil
	t.waiting = slices.DeleteFunc(t.waiting, func(x turn) bool { return x.record.phase.Over() })
	if len(t.waiting) == 0 {
		return nil, queue.Times{}
	}
	first := 0
	for i, x := range t.waiting {
		if max(x.times.Due, uptime) < max(t.waiting[first].times.Due, uptime) {
			first = i
		}
	}
	next := t.waiting[first]
	t.waiting = slices.Delete(t.waiting, first, first+1)
	t.has = next.record
	return next.record, next.times
}

// Begin gives the first turn. Whoever was lost less often comes first, so that neighbours
// of a killer have ended when it kills again; then older tasks before newer ones.
func (t *Turns) Begin(uptime time.Duration) (*Record, queue.Times) {
	slices.SortFunc(t.waiting, func(a, b turn) int {
		return cmp.Or(cmp.Compare(a.record.Losses, b.record.Losses), cmp.Compare(a.record.stamp, b.record.stamp))
	})
	return t.Next(nil, uptime)
}
