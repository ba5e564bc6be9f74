package fleet

import (
	"fmt"
	"slices"
	"strings"

	"cpulb/daemon/effects"
)

// Lost compares what the new workers of an executor's pools can do with what the old ones can,
// both as configured. It returns an error for what tasks that were accepted may need, and else
// which capabilities are no more. What the pools themselves need a worker can't start without.
func (r *Rollout) Lost(executor string) (lost []string, err error) {
	r.fleet.do(func(*effects.List) {
		for _, c := range r.changes {
			if c.fresh || c.described == nil || c.layout.config.Executor != executor {
				continue
			}
			old, can := c.pool.described, c.described.Capabilities()
			var needed []string
			for _, name := range old.Capabilities() {
				if slices.Contains(can, name) {
					continue
				}
				switch name {
				case "TASK_ENV", "TASK_CWD":
					needed = append(needed, name)
				case "CANCEL", "EVENTS":
					lost = append(lost, name+" in pool "+c.pool.name)
				}
			}
			if len(needed) > 0 && err == nil {
				err = fmt.Errorf("pool %s: the new program lacks %s, which the present one has: it would fail accepted tasks that need that",
					c.pool.name, strings.Join(needed, " and "))
			}
		}
	})
	return lost, err
}
