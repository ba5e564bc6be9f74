package daemon

import (
	"context"
	"sync"
	"time"
)

// A question that belongs to nobody, as for the status, is asked by many at once and costs
// time of the engine and of every worker. roundCost is the most of that: so far apart rounds
// of asking begin, once roundBurst has been used up.
const (
	roundCost  = 10 * time.Millisecond
	roundBurst = time.Second
)

// rounds shares the answers to a question among all who ask. An answer is never older than
// the question: who asks while a round is under way is answered by the next one, with all
// others who do.
type rounds[T any] struct {
	ask     func(context.Context) T
	elapsed func() time.Duration

	mu      sync.Mutex
	next    *round[T] // nil: nobody waits for it
	running bool
	pace    pace
}

type round[T any] struct {
	done   chan struct{} // closed once there is an answer
	answer T
}

// get returns an answer, or none once ctx is done.
func (x *rounds[T]) get(ctx context.Context) (answer T) {
	r := x.join()
	select {
	case <-r.done:
		return r.answer
	case <-ctx.Done():
		return answer
	}
}

// join returns the next round, which it begins if none is under way.
func (x *rounds[T]) join() *round[T] {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.next == nil {
		x.next = &round[T]{done: make(chan struct{})}
	}
	if !x.running {
		x.running = true
		go x.run()
	}
	return x.next
}

// run makes rounds as long as somebody waits for one.
func (x *rounds[T]) run() {
	for {
		time.Sleep(x.wait())
		r := x.take()
		if r == nil {
			return
		}
		r.answer = x.ask(context.Background()) // who asked first may go before the others
		close(r.done)
	}
}

func (x *rounds[T]) take() *round[T] {
	x.mu.Lock()
	defer x.mu.Unlock()
	r := x.next
	x.next, x.running = nil, r != nil
	return r
}

func (x *rounds[T]) wait() time.Duration {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.next == nil {
		return 0
	}
	return x.pace.charge(x.elapsed(), roundCost, roundBurst)
}
