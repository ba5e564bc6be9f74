package balancer

import (
	"container/list"
	"math"
	"time"
)

// Estimator learns how long tasks typically take, by what they call: the geometric mean,
// which one task that takes a thousand times as long, or that the machine has kept waiting,
// moves little. What was estimated too short is recalled. It knows a bounded number
// of keys; those whose tasks ended longest ago are forgotten first. The same
// observations give the same estimates.
type Estimator[K comparable] struct {
	bound  int
	known  map[K]*list.Element // of *estimate[K]
	recent list.List           // the latest first
}

type estimate[K comparable] struct {
	key   K
	count int
	mean  float64 // of the logarithms of nanoseconds
	takes time.Duration
}

// memory is how many observations weigh about as much as all before them: a new one
// has the weight 1/memory, or what a plain mean gives it while there are fewer.
const memory = 8

// NewEstimator returns an Estimator of at most bound keys, at least 1.
func NewEstimator[K comparable](bound int) *Estimator[K] {
	return &Estimator[K]{bound: bound, known: map[K]*list.Element{}}
}

// Observe notes that a task of this key took so long.
func (e *Estimator[K]) Observe(k K, took time.Duration) {
	at, ok := e.known[k]
	if !ok {
		if len(e.known) >= e.bound {
			oldest := e.recent.Remove(e.recent.Back()).(*estimate[K])
			delete(e.known, oldest.key)
		}
		at = e.recent.PushFront(&estimate[K]{key: k})
		e.known[k] = at
	}
	e.recent.MoveToFront(at)
	x := at.Value.(*estimate[K])
	x.count = min(x.count+1, memory)
	x.mean += (math.Log(float64(max(1, took))) - x.mean) / float64(x.count)
	x.takes = max(1, time.Duration(math.Round(math.Exp(x.mean))))
}

// Estimate returns how long a task of this key is expected to take; 0: nothing is
// known of it, as Balancer.Acquire takes it.
func (e *Estimator[K]) Estimate(k K) time.Duration {
	at, ok := e.known[k]
	if !ok {
		return 0
	}
	return at.Value.(*estimate[K]).takes
}

// Len returns the number of keys that are known.
func (e *Estimator[K]) Len() int { return len(e.known) }
