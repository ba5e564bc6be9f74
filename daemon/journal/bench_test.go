package journal

import (
	"encoding/json"
	"sync"
	"testing"
	"time"

	"cpulb/daemon/task"
)

// lives takes a task through what the journal hears of one that is short: its acceptance, its
// attempt and its Result.
func lives(j *Journal, n int, need Need, linger time.Duration, done func(error)) {
	a := newTask(n, "")
	j.Add(Change{Need: need, Linger: linger, Ops: []Op{{Accepted: &a}}})
	j.Add(Change{Need: Written, Ops: []Op{{Submitted: a.Submitted, Progress: &Progress{Attempts: 1, Dispatched: true}}}})
	j.Write()
	r := &task.Result{ID: a.Task.ID, Status: task.Completed, Attempts: 1, Data: []byte("null"), SubmittedAt: a.Submitted, FinishedAt: a.Submitted,
		Worker: &task.Worker{ID: "cpu-0", Executor: "python", Pool: "cpu", PID: 1234}}
	j.Add(Change{Need: need, Done: done, Ops: []Op{{Submitted: a.Submitted, Ended: &Ended{Result: r, Cursor: task.Cursor{Attempt: 1, Seq: 3}, Order: uint64(n)}}}})
	j.Write()
	j.Add(Change{Ops: []Op{{Submitted: a.Submitted, Forget: true}}})
}

func benchmark(b *testing.B, waiters int, need Need) {
	j := open(b, b.TempDir(), Options{})
	b.ReportAllocs()
	b.ResetTimer()
	var all sync.WaitGroup
	next := make(chan int, 1024)
	for range waiters {
		all.Go(func() {
			answered := make(chan struct{}, 1)
			for n := range next {
				lives(j, n, need, time.Millisecond, func(error) { answered <- struct{}{} })
				<-answered
			}
		})
	}
	for n := range b.N {
		next <- n
	}
	close(next)
	all.Wait()
}

func BenchmarkOneTaskAtATimeWritten(b *testing.B)    { benchmark(b, 1, Written) }
func BenchmarkOneTaskAtATimeSynced(b *testing.B)     { benchmark(b, 1, Synced) }
func BenchmarkManyTasksAtATimeWritten(b *testing.B)  { benchmark(b, 1000, Written) }
func BenchmarkManyTasksAtATimeSynced(b *testing.B)   { benchmark(b, 1000, Synced) }
func BenchmarkThirtyTasksAtATimeSynced(b *testing.B) { benchmark(b, 32, Synced) }

// BenchmarkEncoding is what a task costs before it is written.
func BenchmarkEncoding(b *testing.B) {
	a := newTask(1, "")
	r := &task.Result{ID: a.Task.ID, Status: task.Completed, Attempts: 1, Data: []byte("null"), SubmittedAt: a.Submitted, FinishedAt: a.Submitted,
		Worker: &task.Worker{ID: "cpu-0", Executor: "python", Pool: "cpu", PID: 1234}}
	for name, ops := range map[string][]Op{
		"accepted": {{Accepted: &a}},
		"progress": {{Submitted: a.Submitted, Progress: &Progress{Attempts: 1, Dispatched: true}}},
		"ended":    {{Submitted: a.Submitted, Ended: &Ended{Result: r, Cursor: task.Cursor{Attempt: 1, Seq: 3}, Order: 7}}},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var buf []byte
			var all []written
			for b.Loop() {
				buf, all = newEntry(Change{Ops: ops}, 1).append(buf[:0], position{1, 100}, all[:0])
			}
			b.SetBytes(int64(len(buf)))
		})
	}
}

// BenchmarkHead compares appendHead with what it stands for.
func BenchmarkHead(b *testing.B) {
	a := newTask(1, "")
	r := &task.Result{ID: a.Task.ID, Status: task.Completed, Attempts: 1, SubmittedAt: a.Submitted, StartedAt: &a.Submitted, FinishedAt: a.Submitted,
		QueueSeconds: 0.000123, RunSeconds: 0.00045, CPUSeconds: 0.0001, Worker: &task.Worker{ID: "cpu-0", Executor: "python", Pool: "cpu", PID: 1234}}
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		var buf []byte
		for b.Loop() {
			buf = appendHead(buf[:0], r)
		}
	})
	b.Run("json.Marshal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(r); err != nil {
				b.Fatal(err)
			}
		}
	})
}
