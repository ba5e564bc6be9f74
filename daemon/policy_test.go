package daemon_test

import (
	"testing"
	"time"

	"cpulb/balancer"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
)

func TestTasksWaitForAFreeSlotUnderEachPolicyThatAReloadBrings(t *testing.T) {
	daemontest.On(t, daemontest.One(2, 1), func(f *daemontest.Farm) {
		for _, p := range balancer.Policies() {
			c := daemontest.One(2, 1)
			c.Pools[0].Policy = p
			if err := f.Reload(c); err != nil {
				t.Fatal(p, err)
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
