package journal

import (
	"io"
	"sync"
	"testing"
	"time"

	"cpulb/daemon/task"

	"github.com/hashicorp/go-hclog"
)

// A sync fails after a segment was copied and taken off, and before that has been synced;
// then the power is cut as soon as the log has been repaired that far that it goes on.
func TestASegmentWhoseCopyWasCutOffIsStillNeeded(t *testing.T) {
	disk := newMemory()
	o := Options{MachineBoot: "one", Interval: time.Hour, Log: hclog.NewNullLogger(), segmentBytes: 4 << 10, retryAfter: time.Millisecond}
	j, err := openIn(disk, io.NopCloser(nil), o)
	must(t, err)
	kept := newTask(1, "")
	must(t, j.commitNow(Op{Accepted: &kept}, Op{Submitted: kept.Submitted, Progress: &Progress{Attempts: 2}}))
	var forget []Op
	for n := range 10 {
		other := newTask(2+n, "")
		data := make([]byte, 3<<10)
		for i := range data {
			data[i] = '1'
		}
		must(t, j.commitNow(Op{Accepted: &other}, Op{Submitted: other.Submitted, Ended: &Ended{Result: &task.Result{Status: task.Completed, Data: data}}}))
		forget = append(forget, Op{Submitted: other.Submitted, Forget: true})
	}

	held := make(chan struct{})
	disk.set(func() { disk.syncing = held })
	written := func(ops ...Op) {
		answered := make(chan struct{})
		j.Append(Written, func(error) { close(answered) }, ops...)
		<-answered
	}
	written(forget...)
	written(Op{Schedules: map[string]Schedule{"x": {Skipped: 1}}})
	j.want()            // a sync that fails once it goes on
	for n := range 50 { // between two writes a step is taken
		written(Op{Submitted: kept.Submitted, Progress: &Progress{Attempts: 3 + n}})
	}

	after := make(chan *memory, 1)
	var once sync.Once
	disk.set(func() {
		disk.failSync, disk.syncing = true, nil
		disk.began = func() {
			once.Do(func() { after <- disk.cut(func(n int) int { return (n - 1) &^ 1 }) })
		}
	})
	close(held)
	cut := <-after
	disk.set(func() { disk.failSync = false })
	must(t, j.Close(t.Context()))

	o.MachineBoot = "two"
	j, err = openIn(cut, io.NopCloser(nil), o)
	must(t, err)
	defer j.Close(t.Context())
	for s, err := range j.Recover() {
		must(t, err)
		if s.Submitted.Equal(kept.Submitted) {
			if s.Task == nil || s.Progress == nil || s.Progress.Attempts < 2 {
				t.Fatalf("what was synced of it is gone: %+v", s)
			}
			return
		}
	}
	t.Fatal("a task is gone that had been synced")
}
