package daemon_test

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

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

// Else a page that shows the last minute costs as much as all that is known.
func TestAListOfTheNewestLooksAtNothingThatIsTooOld(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		many := map[string]string{} // so that one task is looked at at a time
		for i := range 1000 {
			many[strconv.Itoa(i)] = ""
		}
		for range 10 {
			if _, err, _ := answer(f, daemontest.Who(), newTask(f, fleettest.Sleeps), nil); err != nil {
				t.Fatal(err)
			}
		}
		l, err := f.List(f.Context(), daemontest.Who(), api.Filter{}, api.Page{Newest: true})
		if err != nil || len(l.Tasks) != 10 {
			t.Fatalf("%d tasks, %v", len(l.Tasks), err)
		}
		for name, c := range map[string]struct {
			since time.Time
			looks int
		}{
			"the third from the end": {l.Tasks[9].SubmittedAt.Add(7), 4}, // each has a time of its own
			"the future":             {l.Tasks[0].SubmittedAt.AddDate(7000, 0, 0), 1},
			"any time":               {time.Time{}, 10},
		} {
			if n := f.Engine.Looks(daemontest.Who(), api.Filter{Since: c.since, Labels: many}); n != c.looks {
				t.Errorf("since %s: %d looks, not %d", name, n, c.looks)
			}
		}
	})
}
