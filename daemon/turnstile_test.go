package daemon

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// clock is an engine's, which has just been made.
func clock() func() time.Duration {
	began := time.Now()
	return func() time.Duration { return time.Since(began) }
}

func TestReadersOfOneCallerPassAFewAtATimeAndHoldUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := newTurnstile(clock())
		var mu sync.Mutex
		inside, most, passed := map[uint32]int{}, map[uint32]int{}, map[uint32]time.Duration{}
		began := time.Now()
		read := func(uid uint32, took time.Duration) {
			gate.enter(uid)
			mu.Lock()
			inside[uid]++
			most[uid] = max(most[uid], inside[uid])
			mu.Unlock()
			time.Sleep(took)
			mu.Lock()
			inside[uid]--
			passed[uid] = time.Since(began)
			mu.Unlock()
			gate.leave(uid)
		}
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() { read(1, time.Millisecond) })
		}
		synctest.Wait()
		all.Go(func() { read(2, time.Millisecond) })
		all.Wait()
		if most[1] != readersAtOnce || passed[2] != time.Millisecond || passed[1] != 500*time.Millisecond {
			t.Errorf("%d at a time; the other one passed after %s, the last after %s", most[1], passed[2], passed[1])
		}
		if len(gate.callers) > 0 {
			t.Errorf("%d callers are remembered", len(gate.callers))
		}
	})
}

func TestFollowersOfOneCallerLookTogetherAsOftenAsOneMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := newTurnstile(clock())
		const followers = 1500
		var mu sync.Mutex
		looks := 0
		var all sync.WaitGroup
		until := time.Now().Add(2 * time.Second)
		for range followers {
			all.Go(func() {
				defer gate.follows(1)()
				for time.Now().Before(until) {
					gate.pause(t.Context(), 1)
					mu.Lock()
					looks++
					mu.Unlock()
				}
			})
		}
		defer gate.follows(2)()
		for range 100 { // who follows alone is never held up
			time.Sleep(time.Millisecond)
			if wait := gate.charge(2, lookCost); wait > 0 {
				t.Fatalf("a lone one waits for %s", wait)
			}
		}
		all.Wait()
		if most := int(2*time.Second/lookCost) + int(paceBurst/lookCost) + followers; looks > most || looks < most/2 {
			t.Errorf("%d looks in 2s, at most %d were expected", looks, most)
		}
		if len(gate.paces) != 1 {
			t.Errorf("%d callers are remembered", len(gate.paces))
		}
	})
}
