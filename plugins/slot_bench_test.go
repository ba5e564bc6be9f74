package plugins

import (
	"fmt"
	"testing"

	"cpulb/plugins/proto"
)

// A slot of a worker from end to end, with nothing in between but a socket; what a task costs
// includes what the benchmark does for it at the other end.
func BenchmarkSlot(b *testing.B) {
	for _, window := range []int{1, 8, 32, Window} {
		b.Run(fmt.Sprint("window=", window), func(b *testing.B) {
			fd, _ := serveSlot(b, nil)
			frames := newFrameReader(descriptor(fd), 1<<20)
			labels := map[string]string(nil)
			var wire []byte
			b.ReportAllocs()
			seq, ended := uint64(0), uint64(0)
			for b.Loop() {
				wire = wire[:0]
				for ; seq-ended < uint64(window); seq++ {
					m := &proto.Task{Seq: seq + 1, TaskId: "01234567-89ab-cdef-0123-456789abcdef", ScriptPath: "/srv/scripts/noop.py", Function: "main",
						TaskType: "cpu_bound", Attempt: 1, Labels: labels, PayloadLength: 11}
					wire, _ = appendFrame(wire, m)
					wire = append(wire, `{"value":1}`...)
				}
				if len(wire) > 0 {
					if err := writeAll(fd, wire, nil); err != nil {
						b.Fatal(err)
					}
				}
				for at := ended; ended == at || frames.r.Buffered() > 0; { // what one read has brought
					var ev proto.Event
					if err := frames.next(&ev); err != nil {
						b.Fatal(err)
					}
					if _, err := frames.payload(ev.PayloadLength); err != nil {
						b.Fatal(err)
					}
					if ev.GetResult() != nil {
						ended++
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(max(ended, 1)), "ns/task")
		})
	}
}

func BenchmarkClaims(b *testing.B) {
	daemon, worker, _ := bothEnds(b)
	b.Run("claim and done", func(b *testing.B) {
		b.ReportAllocs()
		for seq := uint64(1); b.Loop(); seq++ {
			worker.claim(seq)
			worker.done(seq)
		}
	})
	b.Run("fate", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			daemon.fate(0, 1)
		}
	})
	b.Run("recall", func(b *testing.B) {
		b.ReportAllocs()
		daemon, _, _ := bothEnds(b)
		for seq := uint64(1); b.Loop(); seq++ {
			daemon.recall(0, seq)
		}
	})
}
