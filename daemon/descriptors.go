package daemon

import "cpulb/daemon/fleet"

// ownDescriptors is how many file descriptors the engine and its process take beside
// those of workers: the journal's, the log's, the socket's, the runtime's.
const ownDescriptors = 64

// Descriptors returns how many file descriptors the engine may take. Whoever opens others
// leaves it these, or it could not replace a worker. It does not wait for the engine.
func (e *Engine) Descriptors() int { return int(e.descriptors.Load()) }

func descriptors(layouts []fleet.Layout) int64 {
	n := ownDescriptors
	for i := range layouts {
		n += layouts[i].Descriptors()
	}
	return int64(n)
}
