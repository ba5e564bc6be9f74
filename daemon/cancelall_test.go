package daemon_test

import (
	"testing"
	"testing/synctest"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
)

// Else a caller with very many tasks would have each of its connections hold all of them.
func TestWhatOneCallerSelectsToCancelIsHeldAFewTimesAtOnce(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		owner := daemontest.Who()
		for _, who := range []access.Identity{owner, stranger} {
			if _, err, _ := answer(f, who, newTask(f, fleettest.Sleeps), nil); err != nil {
				t.Fatal(err)
			}
		}
		release := f.Engine.SelectAsMay(owner.UID)
		cancelled := make(chan int, 2)
		go func() {
			n, err := f.Engine.CancelAll(f.Context(), owner, api.Filter{})
			if err != nil {
				t.Error(err)
			}
			cancelled <- n
		}()
		synctest.Wait()
		if len(cancelled) > 0 {
			t.Error("one more selects than may at once")
		}
		if n, err := f.Engine.CancelAll(f.Context(), stranger, api.Filter{}); err != nil || n != 1 {
			t.Errorf("another caller has cancelled %d tasks: %v", n, err)
		}
		release()
		if n := <-cancelled; n != 1 {
			t.Errorf("%d tasks were cancelled", n)
		}
	})
}
