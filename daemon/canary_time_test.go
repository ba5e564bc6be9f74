package daemon_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
	"cpulb/plugins"
)

// taking has the new program take so long for each task.
func taking(d string) func(*plugins.Task) *plugins.Task {
	return func(k *plugins.Task) *plugins.Task {
		n := *k
		n.Params = fmt.Appendf(nil, "%q", d)
		return &n
	}
}

// feed submits n tasks that take so long, one each interval.
func (x *trial) feed(n int, interval time.Duration, takes string) (all []task.ID) {
	for range n {
		all = append(all, x.Submit(fleettest.Sleeps, daemontest.Params(takes)))
		x.Pass(interval)
	}
	return all
}

// What has not ended is not observed, and a program that hangs is no better than one that fails.
func TestACanaryThatDoesNotEndItsTasksGoesBack(t *testing.T) {
	for name, c := range map[string]struct {
		acts     string
		tasks    int
		interval time.Duration
		takes    string
	}{
		"never":             {"1000h", 200, 10 * time.Second, "10s"},
		"ten times as long": {"5h", 40, time.Minute, "30m"},
	} {
		t.Run(name, func(t *testing.T) {
			onTrial(t, daemontest.One(2, 20), "20%", taking(c.acts), func(x *trial) {
				x.feed(c.tasks, c.interval, c.takes)
				if s := x.over(); s.State != api.SwapWentBack || !strings.Contains(s.Why, "have not ended") || s.Canary.Tasks == 0 {
					t.Errorf("%+v %+v", s, s.Canary)
				}
				x.Pass(time.Minute)
				if x.IDs() != "[p-0 p-1]" {
					t.Errorf("ready are %s", x.IDs())
				}
			})
		})
	}
}

func TestACanaryWhoseTasksTakeAsLongAsTheOldProgramsPasses(t *testing.T) {
	for _, takes := range []string{"30m", "90m", "100h"} {
		t.Run(takes, func(t *testing.T) {
			onTrial(t, daemontest.One(2, 20), "50%", alike, func(x *trial) {
				x.feed(5, time.Second, "1s") // which make room in its share
				x.feed(40, time.Minute, takes)
				if s := x.over(); s.State != api.SwapDone || s.Canary.Tasks < 3 {
					t.Errorf("%+v %+v", s, s.Canary)
				}
			})
		})
	}
}

// A canary's time is over when it is, where it has nothing left to do.
func TestACanaryHasAsLongAgainToEndWhatItHasAndNoLonger(t *testing.T) {
	for takes, want := range map[string]time.Duration{"1s": time.Hour, "90m": 90*time.Minute + 2*time.Second, "100h": 2 * time.Hour} {
		onTrial(t, daemontest.One(2, 4), "50%", taking(takes), func(x *trial) {
			x.Ends("completed", 1, x.Submit(fleettest.Sleeps, daemontest.Params("1s")))
			x.Submit(fleettest.Sleeps, daemontest.Params("100h"))
			if x.ran.Load() != 1 {
				t.Fatalf("the canary ran %d", x.ran.Load())
			}
			for !swapState(x.Farm).State.Ended() {
				x.Pass(time.Minute)
			}
			s := swapState(x.Farm)
			if took := s.Ended.Sub(s.Began); took < want-2*time.Second || took > want+2*time.Second {
				t.Errorf("%s: %s, %s", takes, took, s.State)
			}
		})
	}
}
