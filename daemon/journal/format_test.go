package journal

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// What is in the file may be anything, after all that disks do.
func FuzzDecode(f *testing.F) {
	a := newTask(1, `,"labels":{"a":"b"}`)
	f.Add(keyOf(a.Submitted), a.encode(nil), end(f, &a, `[1]`).encode(nil), (&Progress{Attempts: 1}).encode(nil))
	f.Add([]byte("short"), []byte{0x80}, []byte{1, 2, 0xff, 0xff, 0x7f}, []byte{8})
	f.Fuzz(func(t *testing.T, key, accepted, ended, progress []byte) {
		s, err := saved(key, accepted, progress, ended)
		if err != nil {
			return
		}
		again, err := saved(key, s.Accepted.encode(nil), progress, s.Ended.encode(nil))
		if err != nil || again.Owner != s.Owner || again.Pool != s.Pool || !again.Task.Same(s.Task) || again.Ended.Cursor != s.Ended.Cursor {
			t.Errorf("%+v\nbecomes\n%+v\n%v", s, again, err)
		}
	})
}

func TestTheFileStaysSmallWhileTasksComeAndGo(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, Options{})
	round := func(first int) {
		for i := first; i < first+100; i++ {
			a := newTask(i, "")
			j.Append(Whenever, nil, Op{Accepted: &a})
			j.Append(Whenever, nil, Op{Submitted: a.Submitted, Ended: end(t, &a, `"some data"`)})
			if i >= 1000 {
				j.Append(Whenever, nil, Op{Submitted: epoch.Add(time.Duration(i - 1000)), Forget: true})
			}
		}
		if err := j.commitNow(Op{Schedules: map[string]Schedule{}}); err != nil {
			t.Fatal(err)
		}
	}
	size := func() int64 {
		info, err := os.Stat(filepath.Join(dir, fileName))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	n := 0
	for ; n < 3000; n += 100 {
		round(n)
	}
	before := size()
	for ; n < 30_000; n += 100 {
		round(n)
	}
	if after := size(); after > 2*before {
		t.Errorf("the file has grown from %d to %d bytes", before, after)
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
