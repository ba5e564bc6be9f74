package ledger_test

import (
	"testing"
	"time"

	"cpulb/daemon/ledger"
	"cpulb/daemon/queue"
	"cpulb/daemon/task"
)

// runs takes in n small tasks that end at once, as a client of a worker would see them.
func runs(t failer, s *ledger.Store, n int) {
	for range n {
		k := plain()
		k.Params = []byte("{}")
		r := add(s, k)
		r.Worker = &task.Worker{ID: "cpu-0", Executor: "python", Pool: "cpu", PID: 12345}
		r.Begin(queue.Now{Wall: now, Uptime: uptime})
		move(t, s, r, ledger.Ready, ledger.Sent, ledger.Running, ledger.Ending)
		started := now.Add(time.Millisecond)
		res := &task.Result{ID: k.ID, Status: task.Completed, Data: []byte("null"), Attempts: 1, Worker: r.Worker,
			SubmittedAt: now, StartedAt: &started, FinishedAt: now.Add(time.Second), QueueSeconds: 0.123, RunSeconds: 0.001}
		r.EndCursor()
		s.NumberEnd(r)
		if _, err := s.End(r, res, uptime); err != nil {
			t.Fatal(err)
		}
	}
}

// benchFailer is a *testing.B as a failer.
type benchFailer struct{ *testing.B }

// A task's whole life, while 100,000 are kept and each end evicts another.
func BenchmarkATaskWhileManyAreKept(b *testing.B) {
	s := ledger.NewStore(ledger.Bounds{TTL: time.Hour, Max: 100_000, MaxBytes: 1 << 30})
	runs(benchFailer{b}, s, 200_000)
	b.ReportAllocs()
	b.ResetTimer()
	runs(benchFailer{b}, s, b.N)
}

// A look at a task that ended a while ago.
func BenchmarkALookAtAPackedTask(b *testing.B) {
	s := ledger.NewStore(ledger.Bounds{TTL: time.Hour, Max: 100_000, MaxBytes: 1 << 30})
	first := ended(benchFailer{b}, s, plain()).Task.ID
	runs(benchFailer{b}, s, 10_000)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if s.Get(first).Result() == nil {
			b.Fatal("it has no result")
		}
	}
}
