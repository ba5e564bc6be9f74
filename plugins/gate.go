package plugins

import "sync"

// gate counts the tasks that a worker has taken and not yet answered. Once shut
// it lets no further one in and tells when the last has left. A task leaves with
// its Result written: whoever waited for that may then end the process.
type gate struct {
	mu     sync.Mutex
	inside int
	shut   bool
	empty  chan struct{} // made by close, closed when nobody is inside
}

// enter lets a task in; false when the gate is shut.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return false
	}
	g.inside++
	return true
}

// leave lets n tasks out.
func (g *gate) leave(n int) {
	if n == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside -= n
	if g.shut && g.inside == 0 {
		close(g.empty)
	}
}

// close shuts the gate; what it returns is closed when nobody is inside.
func (g *gate) close() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return g.empty
	}
	g.shut, g.empty = true, make(chan struct{})
	if g.inside == 0 {
		close(g.empty)
	}
	return g.empty
}

// count returns how many are inside.
func (g *gate) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inside
}
