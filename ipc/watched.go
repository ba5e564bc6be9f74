package ipc

import (
	"sync"

	"cpulb/daemon/task"
)

// watched are the tasks that a stream watches, each once however often it was submitted, and
// the lines about other tasks that it has to answer.
type watched struct {
	mu sync.Mutex
	// tasks are those whose result has not been queued; others are watches of a task that
	// is not known yet, or has one already.
	tasks  map[task.ID]*watch
	others map[*watch]struct{}
	// owed counts the cancels and watches without an answer.
	owed int
	// left: the stream has ended.
	left    bool
	settled chan struct{} // made by settle, closed when there is nothing left
}

// submit returns the watch for a line that submits a task, which asks for it.
func (st *stream) watch(c *task.Command) *watch {
	if keyed(c.Task) {
		w := &watch{stream: st}
		w.ask(c.Events, false)
		st.watched.addOther(w)
		return w
	}
	for {
		w := st.watched.of(st, c.Task.ID)
		w.mu.Lock()
		is := st.watched.has(w)
		if is { // else it has ended just now
			w.ask(c.Events, c.Quiet)
		}
		w.mu.Unlock()
		if is {
			return w
		}
	}
}

func (x *watched) addOther(w *watch) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.others[w] = struct{}{}
}

// of returns the watch of a task, made if there is none.
func (x *watched) of(st *stream, id task.ID) *watch {
	x.mu.Lock()
	defer x.mu.Unlock()
	w := x.tasks[id]
	if w == nil {
		w = &watch{stream: st, id: id}
		x.tasks[id] = w
	}
	return w
}

// has reports whether w is the watch of its task.
func (x *watched) has(w *watch) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.tasks[w.id] == w
}

// name notes of which task w is, which was not known. If there is a watch of that already,
// accept is called before its result may pass, and w is not needed.
func (x *watched) name(w *watch, id task.ID, accept func()) (needless bool) {
	x.mu.Lock()
	other := x.tasks[id]
	if w.id = id; other == nil {
		delete(x.others, w)
		x.tasks[id] = w
	}
	x.mu.Unlock()
	if other == nil {
		return false
	}
	other.mu.Lock()
	defer other.mu.Unlock()
	if !other.accepted || !x.has(other) { // it may come to nothing, or has ended just now
		return false
	}
	if w.Verbose() {
		other.verbose.Store(true)
	}
	accept()
	x.drop(w)
	return true
}

// drop takes w out.
func (x *watched) drop(w *watch) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.tasks[w.id] == w {
		delete(x.tasks, w.id)
	}
	delete(x.others, w)
	x.settleIf()
}

// owe counts change cancels or watches more that have to be answered.
func (x *watched) owe(change int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.owed += change
	x.settleIf()
}

func (x *watched) nothing() bool { return len(x.tasks) == 0 && len(x.others) == 0 && x.owed == 0 }

func (x *watched) settleIf() {
	if x.settled != nil && x.nothing() {
		close(x.settled)
		x.settled = nil
	}
}

// settle returns a channel that is closed once nothing is watched.
func (x *watched) settle() <-chan struct{} {
	x.mu.Lock()
	defer x.mu.Unlock()
	settled := x.settled
	if settled == nil {
		settled = make(chan struct{})
		x.settled = settled
	}
	x.settleIf()
	return settled
}

// over reports whether the stream has ended.
func (x *watched) over() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.left
}

// leave ends it: it returns what was watched, and of which task, as far as that is known.
func (x *watched) leave() map[*watch]task.ID {
	x.mu.Lock()
	defer x.mu.Unlock()
	all := make(map[*watch]task.ID, len(x.tasks)+len(x.others))
	for id, w := range x.tasks {
		all[w] = id
	}
	for w := range x.others {
		all[w] = w.id
	}
	clear(x.tasks)
	clear(x.others)
	x.left = true
	x.settleIf()
	return all
}

// unwatch takes what the stream still watches off its tasks: they go on, and keep nothing of
// a stream that has ended.
func (st *stream) unwatch() {
	for w, id := range st.watched.leave() {
		st.server.engine.Unwatch(st.who, id, w)
	}
}
