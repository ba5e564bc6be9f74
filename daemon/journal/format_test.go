package journal

import (
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"cpulb/daemon/task"
	"cpulb/internal/alloctest"
)

// recordBytes is more than what reading one record takes beside its content.
const recordBytes = 128 << 10

// decodeAll reads a record as recovery does.
func decodeAll(data []byte, at position, framed bool) {
	r, err := parsePayload(data)
	if framed {
		r, err = readRecord(data, at)
	}
	if err != nil {
		return
	}
	switch r.kind {
	case kindAccepted:
		_, _ = decodeAccepted(r.message)
	case kindProgress:
		_, _ = decodeProgress(r.message)
	case kindEnded:
		_, _ = decodeEnded(r.message)
	case kindEvents:
		_, _ = decodeEvents(r.message)
	case kindTombstone:
		_, _ = decodeTombstone(r.message)
	case kindBatch, kindGone:
		_, _ = decodeBatch(r.message)
	case kindSchedules:
		_, _ = decodeSchedules(r.message)
	}
}

// What is in the file may be anything, after all that disks do.
func FuzzRecord(f *testing.F) {
	a := newTask(1, `,"labels":{"a":"b"}`)
	at := position{3, 100}
	for _, o := range []Op{{Accepted: &a}, {Submitted: a.Submitted, Ended: end(f, &a, `[1]`)}, {Submitted: a.Submitted, Progress: &Progress{Attempts: 1}},
		{Submitted: a.Submitted, Forget: true}, {Submitted: a.Submitted, Events: someEvents(1, 9)},
		{Submitted: a.Submitted, Tombstone: &Tombstone{ID: a.Task.ID, Key: "x", Until: epoch}}, {Gone: &Gone{ID: a.Task.ID, Counts: map[task.Status]int{task.Failed: 2}}}, {Batch: &Batch{Gone: map[task.Status]int{task.Failed: 2}}}, {Schedules: map[string]Schedule{"a": {Reason: "b"}}}} {
		f.Add(appendRecord(nil, at, o.appendPayload), true)
		f.Add(o.appendPayload(nil), false)
	}
	f.Add([]byte{0xff, 0xff, 0xff, 0x7f, 1, 2, 3, 4, 5, 6, 7, 8}, true)
	f.Fuzz(func(t *testing.T, data []byte, framed bool) {
		alloctest.Within(t, recordBytes+64*len(data), func() { decodeAll(data, at, framed) })
		var r record
		var err error
		if framed {
			r, err = readRecord(data, at)
		} else {
			r, err = parsePayload(data)
		}
		if err != nil {
			return
		}
		switch r.kind {
		case kindAccepted:
			if x, err := decodeAccepted(r.message); err == nil {
				y, err := decodeAccepted(x.encode(nil))
				if err != nil || !y.Task.Same(x.Task) || y.Pool != x.Pool || y.Uptime != x.Uptime {
					t.Errorf("%+v becomes %+v, %v", x, y, err)
				}
			}
		case kindProgress:
			if x, err := decodeProgress(r.message); err == nil {
				if y, err := decodeProgress(x.encode(nil)); err != nil || !reflect.DeepEqual(x, y) {
					t.Errorf("%+v becomes %+v, %v", x, y, err)
				}
			}
		case kindEnded:
			if x, err := decodeEnded(r.message); err == nil {
				if y, err := decodeEnded(x.encode(nil)); err != nil || y.Cursor != x.Cursor || y.Order != x.Order {
					t.Errorf("%+v becomes %+v, %v", x, y, err)
				}
			}
		case kindEvents:
			if x, err := decodeEvents(r.message); err == nil {
				if y, err := decodeEvents((&Events{Events: x}).encode(nil)); err != nil || !sameEvents(x, y) {
					t.Errorf("%+v becomes %+v, %v", x, y, err)
				}
			}
		case kindTombstone:
			if x, err := decodeTombstone(r.message); err == nil {
				if y, err := decodeTombstone(x.encode(nil)); err != nil || *y != *x {
					t.Errorf("%+v becomes %+v, %v", x, y, err)
				}
			}
		case kindBatch, kindGone:
			_, _ = decodeBatch(r.message)
		case kindSchedules:
			_, _ = decodeSchedules(r.message)
		}
	})
}

func FuzzHead(f *testing.F) {
	h := head{number: 7, before: 3, mark: mark{position{6, 3}, 2}, start: 9, firstOfBoot: 8, boot: "boot"}
	f.Add(h.encode())
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, data []byte) {
		alloctest.Within(t, 8<<10+8*len(data), func() { _, _ = parseHead(data, 7) })
		if h, err := parseHead(data, 7); err == nil {
			if again, err := parseHead(h.encode(), 7); err != nil || again != h {
				t.Errorf("%+v becomes %+v, %v", h, again, err)
			}
		}
	})
}

func TestTheLogStaysSmallWhileTasksComeAndGo(t *testing.T) {
	const segment = 64 << 10
	j := open(t, t.TempDir(), Options{segmentBytes: segment})
	stays := newTask(1_000_000, `,"function":"stays"`)
	must(t, j.commitNow(Op{Accepted: &stays}))
	peak := int64(0)
	for i := range 20_000 {
		a := newTask(i, "")
		j.Append(Written, nil, Op{Accepted: &a})
		j.Append(Written, nil, Op{Submitted: a.Submitted, Progress: &Progress{Attempts: 1}})
		j.Append(Written, nil, Op{Submitted: a.Submitted, Ended: end(t, &a, `"some data"`)})
		if i >= 1000 {
			j.Append(Written, nil, Op{Submitted: epoch.Add(time.Duration(i - 1000)), Forget: true})
		}
		if i%500 == 0 {
			must(t, j.commitNow(Op{Schedules: map[string]Schedule{"a": {}}}))
			peak = max(peak, j.Stats().Bytes)
		}
	}
	for j.Stats().Bytes > j.log.limit && t.Context().Err() == nil { // what is copied goes once it is synced
		must(t, j.commitNow(Op{Schedules: map[string]Schedule{"a": {}}}))
		if j.Stats().Bytes <= 2*1000*900+4*segment {
			break
		}
	}
	t.Logf("at most %d bytes", peak)
	closeNow(t, j)
	live := j.log.index.total()
	if size := j.log.size(); size > 2*live+4*segment {
		t.Errorf("%d bytes, of which %d are needed", size, live)
	}
	if peak > 4*live+8*segment {
		t.Errorf("at most %d bytes, when %d were needed", peak, live)
	}
}

func BenchmarkRecovery(b *testing.B) {
	const tasks = 100_000
	dir := b.TempDir()
	j := open(b, dir, Options{})
	for i := range tasks {
		a := newTask(i, "")
		j.Append(Whenever, nil, Op{Accepted: &a})
	}
	closeNow(b, j)
	for b.Loop() {
		j := open(b, dir, Options{})
		if n := len(all(b, j)); n != tasks {
			b.Fatal(n)
		}
		closeNow(b, j)
	}
	b.ReportMetric(tasks, "tasks")
}

// One submitter's share of a commit, with 32 of them, of records as a task without
// much to say has.
func BenchmarkGroupCommit(b *testing.B) {
	j := open(b, b.TempDir(), Options{})
	var n int64
	b.SetParallelism(16) // times GOMAXPROCS
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := atomic.AddInt64(&n, 1)
			a := newTask(int(i), "")
			if err := j.commitNow(Op{Accepted: &a}); err != nil {
				b.Error(err)
			}
			if err := j.commitNow(Op{Submitted: a.Submitted, Ended: end(b, &a, `"some data"`)}); err != nil {
				b.Error(err)
			}
			j.Append(Whenever, nil, Op{Submitted: a.Submitted, Forget: true})
		}
	})
	b.ReportMetric(float64(j.Stats().Commits)/float64(b.N), "commits/op")
}
