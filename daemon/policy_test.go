package daemon_test

import (
	"testing"
	"time"

	"cpulb/daemon/config"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
)

func TestTasksWaitForAFreeSlotUnderEachPolicyThatAReloadBrings(t *testing.T) {
	daemontest.On(t, daemontest.One(2, 1), func(f *daemontest.Farm) {
		least, turns, two := daemontest.One(2, 1), daemontest.One(2, 1), daemontest.One(2, 1)
		turns.Pools[0].Policy, two.Pools[0].Policy = "round_robin", "power_of_two"
		for _, c := range []*config.Config{two, turns, two, least} {
			if err := f.Reload(c); err != nil {
				t.Fatal(c.Pools[0].Policy, err)
			}
			var all []task.ID
			for range 5 {
				all = append(all, f.Submit(fleettest.Sleeps, daemontest.Params("1s")))
			}
			f.Pass(3 * time.Second)
			f.Ends("completed", 1, all...)
		}
	})
}
