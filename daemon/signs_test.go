package daemon_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/daemontest"
)

func TestReadinessIsKnownWithoutWaitingForTheEngine(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		ready := func() (err error) {
			f.Engine.Locked(func() { err = f.Engine.Ready() })
			return err
		}
		if err := ready(); err != nil {
			t.Errorf("with a worker: %v", err)
		}
		f.Launcher.Takes(10 * time.Second)
		f.Launcher.Living()[0].Die("signal: killed")
		if synctest.Wait(); ready() == nil || !strings.Contains(ready().Error(), `pool "p"`) {
			t.Errorf("without: %v", ready())
		}
		if f.Pass(time.Minute); ready() != nil {
			t.Errorf("with another: %v", ready())
		}
		if err := f.Engine.Drain(daemontest.Who()); err != nil || !errors.Is(ready(), api.ErrDraining) {
			t.Errorf("draining: %v %v", err, ready())
		}
		if err := f.Engine.Resume(daemontest.Who()); err != nil || ready() != nil {
			t.Errorf("resumed: %v %v", err, ready())
		}
		if f.Stop(); !errors.Is(ready(), api.ErrDraining) {
			t.Errorf("stopped: %v", ready())
		}
	})
}

func TestAnEngineIsAliveWhileItGoesOn(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		for range 5 { // and has nothing to do
			if !f.Engine.Alive() {
				t.Error("an idle engine is not alive")
			}
			synctest.Wait()
		}
		var waiting sync.WaitGroup
		for range 5 { // and many wait for it
			f.Engine.Locked(func() {
				for range 100 {
					waiting.Go(func() { f.Engine.Status(f.Context()) })
				}
			})
			if !f.Engine.Alive() {
				t.Error("a busy engine is not alive")
			}
		}
		waiting.Wait()
	})
}

func TestAnEngineThatIsStuckIsNotAlive(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		f.Engine.Locked(func() {
			f.Engine.Alive()
			for range 3 {
				if f.Engine.Alive() {
					t.Error("a stuck engine is alive")
				}
			}
		})
		synctest.Wait()
		if !f.Engine.Alive() {
			t.Error("it goes on, and is not alive")
		}
	})
}
