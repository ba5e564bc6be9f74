package daemon_test

import (
	"slices"
	"testing"
	"testing/synctest"

	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
)

// slowSeer is a seer whose client's connection holds up the first who writes to it.
type slowSeer struct {
	seer
	goOn chan struct{}
}

func (s *slowSeer) Outlet() task.Outlet { return s }
func (*slowSeer) Uncork()               {}

func (s *slowSeer) Cork() {
	s.mu.Lock()
	goOn := s.goOn
	s.goOn = nil
	s.mu.Unlock()
	if goOn != nil {
		<-goOn
	}
}

// Whoever leaves the lock writes what others have given to the journal: a Result can be
// shown while who took it in has yet to hand over the events before it.
func TestNothingOfATaskIsTheLastToBeHeardButItsResult(t *testing.T) {
	daemontest.Keeping(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		k, w, sent := newTask(f, fleettest.Chats), &slowSeer{}, &reply{}
		p := f.Ready("p-0")
		p.HoldResults()
		f.Engine.Submit(f.Context(), daemontest.Who(), k, w, sent.is)
		synctest.Wait()
		goOn := make(chan struct{})
		w.mu.Lock()
		w.goOn = goOn
		w.mu.Unlock()
		go p.TellResults()
		synctest.Wait()
		f.Submit(fleettest.Echo)
		f.Ends("completed", 1, k.ID)
		close(goOn)
		synctest.Wait()
		heard := w.heard()
		if want := []string{"running", "partial", "progress", "log", "result"}; !slices.Equal(heard, want) {
			t.Errorf("%v, not %v", heard, want)
		}
	})
}
