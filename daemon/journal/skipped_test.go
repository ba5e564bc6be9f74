package journal

import (
	"io"
	"testing"
)

// put writes changes to the end of a log as the writer does, synced.
func (l *log) put(t *testing.T, ops ...Op) {
	t.Helper()
	for i := range ops {
		x := newEntry(Change{Need: Synced, Ops: ops[i : i+1]}, l.start)
		must(t, l.write(func(b []byte, p position) []byte {
			b, all := x.append(b, p, nil)
			for _, w := range all {
				l.index.note(w.record, w.at)
			}
			return b
		}))
	}
	must(t, l.active().file.Sync())
	must(t, l.folder.Sync())
}

func (l *log) putMark(t *testing.T) {
	t.Helper()
	must(t, l.write(func(b []byte, p position) []byte {
		return appendMark(b, p, kindMark, mark{synced: l.end(), first: l.segments[0].number})
	}))
	must(t, l.active().file.Sync())
}

// A power cut can leave the name of a new segment and take that of the one before it.
func TestWhatStandsBehindAMissingSegmentReplacesNothing(t *testing.T) {
	d := newMemory()
	l, _, err := openLog(d, "a", 1<<20, 0)
	must(t, err)
	a := newTask(1, "")
	l.put(t, Op{Accepted: &a}, Op{Submitted: a.Submitted, Progress: &Progress{Attempts: 1}})
	must(t, l.begin())
	l.put(t, Op{Submitted: a.Submitted, Progress: &Progress{Attempts: 2}})
	must(t, l.begin())
	l.put(t, Op{Submitted: a.Submitted, Progress: &Progress{Attempts: 3}})
	must(t, d.Remove(segmentName(2)))
	for _, boot := range []string{"b", "c"} { // what the first start does must not cost the second one anything
		j := openMemory(t, d, boot)
		found := all(t, j)
		if len(found) != 1 || found[0].Progress == nil || found[0].Progress.Attempts != 1 {
			t.Fatalf("after boot %s: %+v", boot, found)
		}
		closeNow(t, j)
	}
}

// Old segments are removed without waiting for it to be on disk: a power cut can bring
// some of them back, each as it was or in parts.
func TestOldSegmentsThatAPowerCutBringsBackDoNotMatter(t *testing.T) {
	for name, spoil := range map[string]func(d *memory, old []*memFile){
		"all":      func(d *memory, old []*memFile) { d.names[segmentName(1)], d.names[segmentName(2)] = old[0], old[1] },
		"the last": func(d *memory, old []*memFile) { d.names[segmentName(2)] = old[1] },
		"one is missing": func(d *memory, old []*memFile) {
			d.names[segmentName(1)] = old[0]
		},
		"cut short": func(d *memory, old []*memFile) {
			d.names[segmentName(2)] = &memFile{in: d, now: old[1].now[:headBytes+5]}
		},
		"without a head": func(d *memory, old []*memFile) {
			d.names[segmentName(1)], d.names[segmentName(2)] = old[0], &memFile{in: d, now: old[1].now[:5]}
		},
	} {
		d := newMemory()
		l, _, err := openLog(d, "a", 1<<20, 0)
		must(t, err)
		a, b := newTask(1, ""), newTask(2, "")
		l.put(t, Op{Accepted: &a})
		must(t, l.begin())
		l.put(t, Op{Accepted: &b})
		must(t, l.begin())
		l.put(t, Op{Submitted: a.Submitted, Forget: true}, Op{Accepted: &b})
		old := l.takeOff(2)
		l.putMark(t)
		must(t, l.remove(old))
		spoil(d, []*memFile{old[0].file.(*memFile), old[1].file.(*memFile)})
		j, err := openIn(d, io.NopCloser(nil), memoryOptions("b"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if found := all(t, j); len(found) != 1 || !found[0].Submitted.Equal(b.Submitted) {
			t.Errorf("%s: %+v", name, found)
		}
		closeNow(t, j)
	}
}

// The other way round, what is needed must be there.
func TestASegmentThatIsNeededMustBeThere(t *testing.T) {
	d := newMemory()
	l, _, err := openLog(d, "a", 1<<20, 0)
	must(t, err)
	for i := range 3 {
		a := newTask(i, "")
		l.put(t, Op{Accepted: &a})
		must(t, l.begin())
		l.putMark(t)
	}
	must(t, d.Remove(segmentName(2)))
	if _, err := openIn(d, io.NopCloser(nil), memoryOptions("b")); err == nil {
		t.Error("a segment was missing")
	}
}
