package wasm

import (
	"testing"
	"time"

	"cpulb/daemon/task"
	"cpulb/plugins"

	"golang.org/x/sys/unix"
)

// spent is the CPU time of this process, of its sandbox, and of those that have ended.
func spent(w *worker) (sum time.Duration) {
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		_ = unix.Getrusage(who, &u)
		sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	if w.process != nil {
		sum += w.process.cpu()
	}
	return sum
}

// BenchmarkTask is what a task costs by itself, without daemon and connection: the smallest
// module, the same with a process of its own, and a program of Go's, whose runtime starts each time.
func BenchmarkTask(b *testing.B) {
	for name, c := range map[string]struct {
		path     string
		settings map[string]string
	}{
		"the smallest module":             {written(b, probeModule()), nil},
		"a program in Go":                 {guest(b, "nothing"), nil},
		"the smallest, with a process":    {written(b, probeModule()), map[string]string{"isolation": "process"}},
		"a program in Go, with a process": {guest(b, "nothing"), map[string]string{"isolation": "process"}},
	} {
		b.Run(name, func(b *testing.B) {
			w := opened(b, c.settings)
			run := func() {
				if o := w.run(&plugins.Task{ScriptPath: c.path, Params: []byte("null")}, &said{}); o.Status != task.Completed {
					b.Fatalf("%s %+v", o.Status, o.Error)
				}
			}
			run()
			before := spent(w)
			for b.Loop() {
				run()
			}
			b.ReportMetric(float64((spent(w)-before).Microseconds())/float64(b.N), "cpu-µs/op")
		})
	}
}
