package ledger

import (
	"iter"

	"cpulb/daemon/task"
)

// Watching is somebody who hears of the events of a task, and for which caller.
type Watching struct {
	task.Watcher
	UID uint32
}

// watchers are those of one task. Most tasks have one; any of many leaves at once.
type watchers struct {
	all []Watching
	one [1]Watching // room for the first
	// at is where in all each is, once there are many.
	at map[task.Watcher]int
}

// manyWatchers is from how many on they are not searched one by one.
const manyWatchers = 16

func (w *watchers) find(x task.Watcher) (int, bool) {
	if w == nil {
		return 0, false
	}
	if w.at != nil {
		i, ok := w.at[x]
		return i, ok
	}
	for i := range w.all {
		if w.all[i].Watcher == x {
			return i, true
		}
	}
	return 0, false
}

func (w *watchers) add(x Watching) {
	w.all = append(w.all, x)
	switch {
	case w.at != nil: // also when many have left since
		w.at[x.Watcher] = len(w.all) - 1
	case len(w.all) >= manyWatchers:
		w.at = map[task.Watcher]int{}
		for i, one := range w.all {
			w.at[one.Watcher] = i
		}
	}
}

func (w *watchers) remove(i int) Watching {
	gone, last := w.all[i], len(w.all)-1
	w.all[i] = w.all[last]
	w.all[last] = Watching{}
	w.all = w.all[:last]
	if w.at != nil {
		if delete(w.at, gone.Watcher); i < last {
			w.at[w.all[i].Watcher] = i
		}
	}
	return gone
}

// verbose yields those that want more than the result.
func (w *watchers) verbose() iter.Seq[task.Watcher] {
	return func(yield func(task.Watcher) bool) {
		if w == nil {
			return
		}
		for i := range w.all {
			if w.all[i].Verbose() && !yield(w.all[i].Watcher) {
				return
			}
		}
	}
}

// Watches reports whether w hears of what follows.
func (r *Record) Watches(w task.Watcher) bool {
	_, ok := r.watchers.find(w)
	return ok
}

// Watch adds w, who does not watch r yet and hears of what follows.
func (r *Record) Watch(w Watching) {
	if r.watchers == nil {
		r.watchers = &watchers{}
		r.watchers.all = r.watchers.one[:0]
	}
	r.watchers.add(w)
}

// Unwatch takes w off, and returns for whom it watched; false: it did not.
func (r *Record) Unwatch(w task.Watcher) (uid uint32, ok bool) {
	i, ok := r.watchers.find(w)
	if !ok {
		return 0, false
	}
	uid = r.watchers.remove(i).UID
	if len(r.watchers.all) == 0 {
		r.watchers = nil
	}
	return uid, true
}

// UnwatchAll takes all off who watch r, and returns them.
func (r *Record) UnwatchAll() []Watching {
	if r.watchers == nil {
		return nil
	}
	all := r.watchers.all
	r.watchers = nil
	return all
}
