package daemon_test

import (
	"fmt"
	"testing"

	"cpulb/daemon/daemontest"
)

// One operation is one task, from its submission to its Result; the journal is off.
func BenchmarkEngine(b *testing.B) {
	for _, depth := range []int{1, 64, 1000} {
		b.Run(fmt.Sprintf("depth=%d", depth), func(b *testing.B) {
			x := daemontest.NewBench(b, daemontest.One(2, 1), depth)
			for b.Loop() {
				x.Task(b)
			}
			x.Settle()
		})
	}
}

// One operation is one task of a batch of a thousand.
func BenchmarkEngineBatch(b *testing.B) {
	const size = 1000
	x := daemontest.NewBench(b, daemontest.One(2, 1), 1)
	n := 0
	for b.Loop() {
		if n++; n%size == 0 {
			x.Batch(b, size)
		}
	}
	if n%size > 0 {
		x.Batch(b, n%size)
	}
}
