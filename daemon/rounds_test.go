package daemon

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestManyWhoAskShareARoundAndNoneGetsAnAnswerOlderThanTheQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		x := &rounds[time.Time]{elapsed: clock(), ask: func(context.Context) time.Time {
			asked.Add(1)
			at := time.Now()
			time.Sleep(time.Millisecond) // the workers take their time
			return at
		}}
		const askers, times = 500, 100
		var all sync.WaitGroup
		for i := range askers {
			all.Go(func() {
				time.Sleep(time.Duration(i) * 7 * time.Microsecond)
				for range times {
					now := time.Now()
					if got := x.get(t.Context()); got.Before(now) {
						t.Errorf("asked at %s, answered as of %s", now, got)
					}
				}
			})
		}
		began := time.Now()
		all.Wait()
		if most := int64(roundBurst/roundCost) + int64(time.Since(began)/roundCost) + 2; asked.Load() > most {
			t.Errorf("%d rounds in %s, at most %d were expected", asked.Load(), time.Since(began), most)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		x.get(gone) // does not wait
		time.Sleep(time.Second)
		now := time.Now()
		x.get(t.Context())
		if took := time.Since(now); took != time.Millisecond {
			t.Errorf("who asks alone waits for %s", took)
		}
	})
}
