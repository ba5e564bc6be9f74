package fleet

import (
	"cmp"
	"slices"
	"sync"

	"cpulb/plugins"
)

// line sends tasks to a slot in the order of their numbers. Two operations may each have
// some for one slot, and be done under the lock in one order and send in the other. What
// overtook another would run before it, as a long one perhaps, and nobody would take back
// from behind it the one that is taken for the first.
type line struct {
	mu    sync.Mutex
	last  uint64 // seq that was sent
	early []*plugins.Task
}

// send sends tasks, which follow each other, once all those before them have been sent.
func (l *line) send(to Conn, tasks []*plugins.Task) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.early) == 0 && tasks[0].Seq == l.last+1 {
		return l.pass(to, tasks)
	}
	l.early = append(l.early, tasks...)
	slices.SortFunc(l.early, func(a, b *plugins.Task) int { return cmp.Compare(a.Seq, b.Seq) })
	ready := 0
	for ready < len(l.early) && l.early[ready].Seq == l.last+1+uint64(ready) {
		ready++
	}
	if ready == 0 {
		return nil
	}
	all := l.early
	l.early = slices.Clone(all[ready:])
	return l.pass(to, all[:ready])
}

// pass sends tasks. l.mu is held; a Conn does not block.
func (l *line) pass(to Conn, tasks []*plugins.Task) error {
	l.last = tasks[len(tasks)-1].Seq
	return to.Send(tasks...)
}
