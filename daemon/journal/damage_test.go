package journal

import (
	"context"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"cpulb/daemon/task"

	"github.com/hashicorp/go-hclog"
)

// sealed is a journal of several segments, with a record of each kind, that was closed.
func sealed(t *testing.T) *memory {
	t.Helper()
	d := newMemory()
	for round := range 2 {
		j := openMemory(t, d, "boot")
		for i := range 6 {
			a := newTask(round*10+i, "")
			must(t, j.commitNow(Op{Accepted: &a}))
			must(t, j.commitNow(Op{Submitted: a.Submitted, Progress: &Progress{Attempts: 1}}, Op{Batch: &Batch{ID: task.ID{1}, Gone: map[task.Status]int{task.Failed: i}}}))
			if i%2 == 0 {
				must(t, j.commitNow(Op{Submitted: a.Submitted, Ended: end(t, &a, `"some data"`)}, Op{Schedules: map[string]Schedule{"a": {Reason: "b"}}}))
			}
			if i == 4 {
				must(t, j.commitNow(Op{Submitted: a.Submitted, Forget: true}, Op{Batch: &Batch{ID: task.ID{2}}}, Op{Batch: &Batch{ID: task.ID{2}}, Forget: true}))
			}
		}
		must(t, j.Close(context.Background()))
	}
	return d
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func openMemory(t testing.TB, d *memory, boot string) *Journal {
	t.Helper()
	j, err := openIn(d, io.NopCloser(nil), memoryOptions(boot))
	must(t, err)
	return j
}

func memoryOptions(boot string) Options {
	return Options{MachineBoot: boot, Log: hclog.NewNullLogger(), segmentBytes: 2 << 10}
}

// copy returns a folder with the same files.
func (m *memory) copy() *memory {
	defer m.locked()()
	c := newMemory()
	for name, f := range m.names {
		b := append([]byte(nil), f.now...)
		c.names[name] = &memFile{in: c, now: b, disk: b}
		c.disk[name] = c.names[name]
	}
	return c
}

func (m *memory) content() map[string]string {
	all := map[string]string{}
	for name, f := range m.names {
		all[name] = string(f.now)
	}
	return all
}

// known is all that a journal has.
type known struct {
	tasks     map[string]string
	schedules map[string]Schedule
	batches   map[task.ID]Batch
}

func read(t testing.TB, j *Journal) known {
	k := known{map[string]string{}, j.Schedules(), j.Batches()}
	for _, s := range all(t, j) {
		k.tasks[s.Task.ID.String()] = state(&s)
	}
	return k
}

// Each bit of each byte turned over, one at a time: it is found and told with its place,
// and then nothing is changed; or the journal has all that it had.
func TestADamagedBitIsFoundOrOfNoAccount(t *testing.T) {
	d := sealed(t)
	j := openMemory(t, d.copy(), "boot")
	want := read(t, j)
	must(t, j.Close(context.Background()))
	if len(d.names) < 3 || len(want.tasks) != 10 {
		t.Fatalf("%d segments, %d tasks", len(d.names), len(want.tasks))
	}
	found, harmless, step := 0, 0, 1
	if testing.Short() {
		step = 5
	}
	for _, boot := range []string{"boot", "another"} {
		for name, f := range d.names {
			for i := 0; i < len(f.now); i += step {
				c := d.copy()
				c.names[name].now[i] ^= 1 << (i % 8)
				before := c.content()
				j, err := openIn(c, io.NopCloser(nil), memoryOptions(boot))
				if err == nil {
					if got := read(t, j); !reflect.DeepEqual(got, want) {
						t.Fatalf("%s, byte %d: nobody noticed:\n%v\n%v", name, i, got, want)
					}
					must(t, j.Close(context.Background()))
					harmless++
					continue
				}
				if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNewer) && !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), "memory/") {
					t.Fatalf("%s, byte %d: %v", name, i, err)
				}
				if !reflect.DeepEqual(c.content(), before) {
					t.Fatalf("%s, byte %d: it was changed", name, i)
				}
				found++
			}
		}
	}
	t.Logf("%d found, %d of no account", found, harmless)
	if harmless > 2*(headerBytes+1+markBytes) {
		t.Errorf("%d of no account", harmless)
	}
}

func TestAMissingOrMovedSegmentIsToldOf(t *testing.T) {
	d := sealed(t)
	names, _ := d.List()
	for i, name := range names[:len(names)-1] {
		for what, change := range map[string]func(c *memory){
			"removed":   func(c *memory) { delete(c.names, name) },
			"exchanged": func(c *memory) { c.names[name], c.names[names[i+1]] = c.names[names[i+1]], c.names[name] },
			"repeated":  func(c *memory) { c.names[names[i+1]] = c.names[name] },
			"shortened": func(c *memory) { f := c.names[name]; f.now = f.now[:len(f.now)-1] },
			"emptied":   func(c *memory) { c.names[name].now = nil },
		} {
			for _, boot := range []string{"boot", "another"} {
				c := d.copy()
				change(c)
				before := c.content()
				if _, err := openIn(c, io.NopCloser(nil), memoryOptions(boot)); !errors.Is(err, ErrCorrupt) {
					t.Errorf("%s %s: %v", name, what, err)
				}
				if !reflect.DeepEqual(c.content(), before) {
					t.Errorf("%s %s: it was changed", name, what)
				}
			}
		}
	}
}

// What was written last, and never synced, may end anywhere.
func TestATornTailIsCutOff(t *testing.T) {
	d := newMemory()
	j := openMemory(t, d, "boot")
	first, second := newTask(1, ""), newTask(2, "")
	must(t, j.commitNow(Op{Accepted: &first}))
	must(t, j.writeNow(Op{Submitted: first.Submitted, Progress: &Progress{Attempts: 1}}, Op{Accepted: &second}))
	c := d.copy()
	closeNow(t, j)
	name := segmentName(1)
	whole := len(c.names[name].now)
	for _, boot := range []string{"boot", "another"} {
		for size := whole; ; size-- {
			c := c.copy()
			c.names[name].now = c.names[name].now[:size]
			j, err := openIn(c, io.NopCloser(nil), memoryOptions(boot))
			if errors.Is(err, ErrCorrupt) || err == nil && len(all(t, j)) == 0 {
				if size > whole-headerBytes {
					t.Errorf("%d of %d bytes: %v", size, whole, err)
				}
				break // this far it had been synced
			}
			must(t, err)
			found := all(t, j)
			if some := found[0].Progress != nil; some != (len(found) == 2) || some != (size == whole) {
				t.Fatalf("%d of %d bytes: a part of a change is there: %+v", size, whole, found)
			}
			if j.Clean() {
				t.Error("it is clean")
			}
			closeNow(t, j)
		}
	}
}

// writeNow appends ops and returns once they are written.
func (j *Journal) writeNow(ops ...Op) error {
	answered := make(chan error, 1)
	j.Append(Written, func(err error) { answered <- err }, ops...)
	return <-answered
}
