package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cpulb/daemon/task"

	"github.com/hashicorp/go-hclog"
	"pgregory.net/rapid"
)

// tale is what a journal was asked to keep of one task, and how far that was answered.
type tale struct {
	accepted *Accepted
	steps    []string // what it is after each change, in their order
	synced   int      // how many of these have been answered as synced
	refused  bool     // there was no room for it, so what followed was in vain
	log      story    // its events, as asked for last
	base     string   // what it is beside these, as asked for last
}

// story is an event log: the number of its last chunk, and the seqs of its first and last
// event.
type story struct {
	chunk       uint32
	first, last uint64
}

// tell adds n events, or replaces all by the last of them, as a chunk of its own.
func (l *story) tell(n int, whole bool) *Events {
	l.chunk++
	from := l.last + 1
	l.last += uint64(n)
	if whole || l.first == 0 {
		l.first = max(1, from-min(from, 2))
		from = l.first
	}
	return &Events{Chunk: l.chunk, Whole: whole, Events: someEvents(from, l.last).Events}
}

func (l *story) String() string { return fmt.Sprintf("%d-%d", l.first, l.last) }

// storyOf reads the event log of a task, of which nothing may be missing.
func storyOf(s *Saved) (l story) {
	if n := len(s.Events); n > 0 {
		l = story{s.Chunk, s.Events[0].Cursor.Seq, s.Events[n-1].Cursor.Seq}
		if !sameEvents(s.Events, someEvents(l.first, l.last).Events) {
			l.first = 1 << 40 // which it never was
		}
	}
	return l
}

// world has the tasks of a journal whose power is cut now and then.
type world struct {
	t     *rapid.T
	disk  *memory
	j     *Journal
	boot  int
	tales map[int64]*tale
	next  int

	mu      sync.Mutex
	pending sync.WaitGroup
}

func (w *world) open() {
	j, err := openIn(w.disk, io.NopCloser(nil), Options{Interval: time.Millisecond, MachineBoot: fmt.Sprint(w.boot), Log: hclog.NewNullLogger(), segmentBytes: 4 << 10, retryAfter: time.Millisecond})
	if err != nil {
		w.t.Fatalf("after a cut: %v", err)
	}
	w.j = j
	w.check()
}

// check compares what is there with what must be: all that was answered, nothing that was
// never asked for, and of each task a state that it had, none older than was answered.
func (w *world) check() {
	found, logs := map[int64]string{}, map[int64]story{}
	for s, err := range w.j.Recover() {
		if err != nil {
			w.t.Fatal(err)
		}
		log := storyOf(&s)
		logs[s.Submitted.UnixNano()] = log
		found[s.Submitted.UnixNano()] = state(&s) + " " + log.String()
	}
	for stamp, x := range w.tales {
		if x.refused {
			x.synced = 0
		}
		i := slices.Index(x.steps, found[stamp]) + 1
		if i < x.synced {
			w.t.Fatalf("task %d is %q, which is before %q, of %q", stamp-epoch.UnixNano(), found[stamp], x.steps[x.synced-1], x.steps)
		}
		if i == 0 && found[stamp] != "" {
			w.t.Fatalf("task %d is %q, which it never was: %q", stamp-epoch.UnixNano(), found[stamp], x.steps)
		}
		x.steps, x.synced = x.steps[:i], i // what was lost is lost
		x.log = logs[stamp]
		x.base, _, _ = strings.Cut(strings.Join(x.steps[max(0, i-1):], ""), ";")
		delete(found, stamp)
		if i == 0 || x.steps[i-1] == "" {
			delete(w.tales, stamp)
		}
	}
	if len(found) > 0 {
		w.t.Fatalf("%v were never asked for", found)
	}
}

// state tells the states of a task apart; "" is that of one that is not there.
func state(s *Saved) string {
	switch {
	case s.Tombstone != nil && s.Task == nil && s.Ended == nil && s.Progress == nil:
		return "tombstone " + s.Tombstone.Key + ";"
	case s.Task == nil:
		return "nothing of it but its progress or its end;"
	case s.Ended != nil:
		return "ended " + s.Ended.Result.Stdout + ";"
	case s.Progress != nil:
		return fmt.Sprint("attempt ", s.Progress.Attempts, ";")
	}
	return "accepted;"
}

func (w *world) append(x *tale, need Need, step string, o Op) {
	if x.base = step; step != "" {
		step += "; " + x.log.String()
	}
	x.steps = append(x.steps, step)
	n := len(x.steps)
	w.pending.Add(1)
	w.add(Change{Need: need, Linger: w.linger(), Ops: []Op{o}, Done: func(err error) {
		defer w.pending.Done()
		w.mu.Lock()
		defer w.mu.Unlock()
		switch {
		case errors.Is(err, ErrFull):
			x.refused = true
		case err == nil && need == Synced:
			x.synced = max(x.synced, n)
		}
	}})
}

// linger is for how long the sync of a change may wait.
func (w *world) linger() time.Duration {
	return rapid.SampledFrom([]time.Duration{0, 0, time.Microsecond, 200 * time.Microsecond, time.Hour}).Draw(w.t, "linger")
}

// add has a change written in one of the ways there are: by the writer's goroutine, by the
// caller, or by whoever writes next.
func (w *world) add(c Change) {
	switch rapid.SampledFrom([]string{"append", "write", "write", "soon", "beside", "later"}).Draw(w.t, "how") {
	case "append":
		w.j.Append(c.Need, c.Done, c.Ops...)
	case "write":
		w.j.Add(c)
		w.j.Write()
	case "soon":
		w.j.Add(c)
		w.j.WriteSoon()
	case "beside": // as who leaves the engine's lock while others come
		w.j.Add(c)
		w.pending.Go(w.j.Write)
	default:
		w.j.Add(c)
	}
}

// syncs has syncs fail or not.
func (w *world) syncs(fail bool) {
	w.disk.mu.Lock()
	defer w.disk.mu.Unlock()
	w.disk.failSync = fail
}

func (w *world) act(t *rapid.T) {
	need := rapid.SampledFrom([]Need{Whenever, Written, Synced}).Draw(t, "need")
	stamps := make([]int64, 0, len(w.tales))
	for stamp, x := range w.tales {
		if x.steps[len(x.steps)-1] != "" {
			stamps = append(stamps, stamp)
		}
	}
	slices.Sort(stamps)
	if len(stamps) == 0 || rapid.IntRange(0, 3).Draw(t, "new") == 0 {
		w.next++
		a := newTask(w.next, "")
		x := &tale{accepted: &a}
		w.tales[a.Submitted.UnixNano()] = x
		w.append(x, need, "accepted", Op{Accepted: &a})
		return
	}
	stamp := rapid.SampledFrom(stamps).Draw(t, "task")
	x := w.tales[stamp]
	o, step := Op{Submitted: time.Unix(0, stamp)}, ""
	change := rapid.IntRange(0, 6).Draw(t, "change")
	if strings.HasPrefix(x.steps[len(x.steps)-1], "tombstone") {
		change = 0
	}
	switch change {
	case 0:
		o.Forget = true
	case 6:
		key := fmt.Sprint("key ", len(x.steps))
		step, x.log, o.Tombstone = "tombstone "+key, story{}, &Tombstone{ID: x.accepted.Task.ID, Owner: 7, Key: key, At: epoch, Until: epoch.Add(time.Hour), Uptime: 5}
	case 4, 5:
		step, o.Events = x.base, x.log.tell(rapid.IntRange(1, 20).Draw(t, "events"), rapid.IntRange(0, 4).Draw(t, "whole") == 0)
	case 1:
		step = fmt.Sprint("ended ", len(x.steps))
		o.Ended = &Ended{Result: &task.Result{ID: x.accepted.Task.ID, Status: task.Completed, Stdout: fmt.Sprint(len(x.steps)),
			Data: make([]byte, rapid.IntRange(0, 3000).Draw(t, "size"))}}
		for i := range o.Ended.Result.Data {
			o.Ended.Result.Data[i] = '1'
		}
	default:
		if x.steps[len(x.steps)-1][0] == 'e' { // it has ended
			return
		}
		step = fmt.Sprint("attempt ", len(x.steps))
		o.Progress = &Progress{Attempts: len(x.steps)}
	}
	w.append(x, need, step, o)
}

func TestWhatWasSyncedSurvivesAPowerCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{t: t, disk: newMemory(), tales: map[int64]*tale{}}
		w.open()
		t.Repeat(map[string]func(*rapid.T){
			"act": w.act,
			"many": func(t *rapid.T) {
				for range rapid.IntRange(1, 30).Draw(t, "n") {
					w.act(t)
				}
			},
			"wait": func(*rapid.T) {
				w.syncs(false)
				w.j.Write() // what was only added
				w.pending.Wait()
			},
			"sync fails": func(t *rapid.T) {
				w.syncs(rapid.IntRange(0, 4).Draw(t, "fails") == 0)
			},
			"cut": func(t *rapid.T) {
				w.mu.Lock()
				after := w.disk.cut(func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "pick") })
				tales := map[int64]*tale{}
				for stamp, x := range w.tales {
					y := *x
					tales[stamp] = &y
				}
				w.mu.Unlock()
				ctx, cancel := context.WithCancel(context.Background())
				cancel()
				_ = w.j.Close(ctx) // that machine is no more
				w.disk, w.tales = after, tales
				w.boot++
				w.open()
			},
			"stop": func(*rapid.T) {
				w.syncs(false)
				if err := w.j.Close(context.Background()); err != nil && !errors.Is(err, errIO) {
					t.Fatal(err)
				}
				w.open()
			},
		})
		w.syncs(false)
		if err := w.j.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
	})
}
