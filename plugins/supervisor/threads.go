package supervisor

import (
	"runtime"
	"sync"
	"time"
)

// spareThreads is how many idle OS threads there are ahead of need, at half a megabyte for all.
// Go ends the program when it needs a thread and the kernel refuses it, as it does once a script
// has started as many processes as there may be. Idle threads it keeps, and takes first: with
// these the daemon goes on, and can end what the script has started.
const spareThreads = 24

// calm is how long no worker must have failed before spare threads are made anew.
const calm = 10 * time.Minute

// threads makes the spare ones.
type threads struct {
	making sync.Mutex

	mu      sync.Mutex
	trouble time.Time // when a worker has last failed
}

// failed notes that a worker could not start, or has ended otherwise than as it was asked to:
// its own runtime may have been refused a thread, and the daemon's would be, too.
func (t *threads) failed() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trouble = time.Now()
}

// replenish makes those that are missing, since each start ends one (see onOwnThread). Until all
// is calm it does not: then there are as many starts as there are threads.
func (t *threads) replenish() {
	t.mu.Lock()
	last := t.trouble
	t.mu.Unlock()
	if !last.IsZero() && time.Since(last) < calm || !t.making.TryLock() {
		return // or they are being made
	}
	defer t.making.Unlock()
	occupyThreads(spareThreads)
}

// occupyThreads returns when n goroutines have had an OS thread each at the same time.
func occupyThreads(n int) {
	var have, all sync.WaitGroup
	have.Add(n)
	for range n {
		all.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			have.Done()
			have.Wait()
		})
	}
	all.Wait()
}
