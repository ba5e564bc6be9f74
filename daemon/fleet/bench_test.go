package fleet_test

import (
	"fmt"
	"testing"

	"cpulb/daemon/daemontest"
)

// One operation is one task, by an engine with so many slots, all of which have one.
func BenchmarkFleet(b *testing.B) {
	for _, shape := range []struct{ workers, threads int }{{1, 1}, {16, 1}, {4, 16}, {64, 1}} {
		b.Run(fmt.Sprintf("workers=%d/threads=%d", shape.workers, shape.threads), func(b *testing.B) {
			x := daemontest.NewBench(b, daemontest.One(shape.workers, shape.threads), 2*shape.workers*shape.threads)
			for b.Loop() {
				x.Task(b)
			}
			x.Settle()
		})
	}
}
