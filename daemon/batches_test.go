package daemon_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
)

// sentBatch is the answer for a batch, once it has come.
type sentBatch struct {
	id   task.ID
	ids  []task.ID
	errs []error
}

// sendBatch submits copies of tasks, as a client does that sends them again.
func sendBatch(f *daemontest.Farm, who access.Identity, tasks ...*task.Task) *sentBatch {
	b := &sentBatch{}
	var copies []*task.Task
	for _, k := range tasks {
		again := *k
		copies = append(copies, &again)
	}
	f.Engine.SubmitBatch(f.Context(), who, task.NewID(), copies, func(id task.ID, ids []task.ID, errs []error) { b.id, b.ids, b.errs = id, ids, errs })
	synctest.Wait()
	return b
}

func echoes(f *daemontest.Farm, n int) (all []*task.Task) {
	for range n {
		all = append(all, newTask(f, fleettest.Echo))
	}
	return all
}

// holds: the batch is known, has so many tasks, and gives the results of these to its
// last.
func (b *sentBatch) holds(f *daemontest.Farm, total int, results ...task.ID) {
	f.Helper()
	v, err := f.Engine.Batch(daemontest.Who(), b.id)
	if err != nil || v.Total != total {
		f.Errorf("batch %s: %+v %v, want %d tasks", b.id, v, err, total)
		return
	}
	if got := b.results(f); !slices.Equal(sorted(got), sorted(results)) {
		f.Errorf("batch %s gives the results %v, want %v", b.id, got, results)
	}
}

func (b *sentBatch) results(f *daemontest.Farm) (ids []task.ID) {
	f.Helper()
	results, err := f.Engine.BatchResults(f.Context(), daemontest.Who(), b.id)
	if err != nil {
		f.Fatal(err)
	}
	for some, err := range results {
		if err != nil {
			f.Fatal(err)
		}
		for _, r := range some {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

func sorted(ids []task.ID) []task.ID {
	return slices.SortedFunc(slices.Values(ids), func(a, b task.ID) int { return slices.Compare(a[:], b[:]) })
}

func idsOf(tasks ...*task.Task) (ids []task.ID) {
	for _, k := range tasks {
		ids = append(ids, k.ID)
	}
	return ids
}

// everywhere runs a test with and without a journal.
func everywhere(t *testing.T, test func(f *daemontest.Farm)) {
	t.Run("in memory", func(t *testing.T) { daemontest.On(t, daemontest.One(1, 2), test) })
	t.Run("with a journal", func(t *testing.T) {
		daemontest.Keeping(t, daemontest.One(1, 2), test)
	})
}

func TestABatchThatIsSentAgainIsTheSameBatch(t *testing.T) {
	everywhere(t, func(f *daemontest.Farm) {
		tasks := echoes(f, 3)
		first := sendBatch(f, daemontest.Who(), tasks...)
		again := sendBatch(f, daemontest.Who(), tasks...)
		twice := sendBatch(f, daemontest.Who(), append(tasks, tasks[0])...)
		if again.id != first.id || twice.id != first.id || !slices.Equal(again.ids, first.ids) {
			t.Errorf("sent %s, then %s and %s", first.id, again.id, twice.id)
		}
		again.holds(f, 3, idsOf(tasks...)...)
	})
}

func TestABatchOfSomeKnownTasksHasThemAllAndLeavesTheOtherAsItWas(t *testing.T) {
	everywhere(t, func(f *daemontest.Farm) {
		tasks := echoes(f, 5)
		first := sendBatch(f, daemontest.Who(), tasks[:3]...)
		overlaps := sendBatch(f, daemontest.Who(), tasks[2:]...)
		part := sendBatch(f, daemontest.Who(), tasks[1:3]...)
		all := sendBatch(f, daemontest.Who(), tasks...)
		first.holds(f, 3, idsOf(tasks[:3]...)...)
		overlaps.holds(f, 3, idsOf(tasks[2:]...)...)
		part.holds(f, 2, idsOf(tasks[1:3]...)...)
		all.holds(f, 5, idsOf(tasks...)...)
		for _, again := range [][]*task.Task{tasks[:3], tasks[2:], tasks[1:3], tasks} {
			b := sendBatch(f, daemontest.Who(), again...)
			if !slices.ContainsFunc([]*sentBatch{first, overlaps, part, all}, func(x *sentBatch) bool { return x.id == b.id }) {
				t.Errorf("%d tasks that are a batch are another when they are sent again", len(again))
			}
		}
		n, err := f.List(f.Context(), daemontest.Who(), api.Filter{Batch: overlaps.id}, api.Page{})
		if err != nil || len(n.Tasks) != 3 {
			t.Errorf("listed by a batch: %d %v", len(n.Tasks), err)
		}
	})
}

func TestABatchByIdempotencyKeysIsTheSameBatch(t *testing.T) {
	everywhere(t, func(f *daemontest.Farm) {
		keyed := func(n int) []*task.Task {
			tasks := echoes(f, n)
			for i, k := range tasks {
				k.Extra.IdempotencyKey = string(rune('a' + i))
			}
			return tasks
		}
		first := sendBatch(f, daemontest.Who(), keyed(2)...)
		again, more := sendBatch(f, daemontest.Who(), keyed(2)...), sendBatch(f, daemontest.Who(), keyed(3)...)
		if again.id != first.id || !slices.Equal(again.ids, first.ids) {
			t.Errorf("%+v, sent again %+v", first, again)
		}
		more.holds(f, 3, more.ids...)
	})
}

func TestABatchSentTwiceAtOnceIsOne(t *testing.T) {
	daemontest.Keeping(t, daemontest.One(1, 2), func(f *daemontest.Farm) {
		release := f.Engine.HoldCommits()
		tasks := echoes(f, 3)
		first, again, more := sendBatch(f, daemontest.Who(), tasks...), sendBatch(f, daemontest.Who(), tasks...), sendBatch(f, daemontest.Who(), append(tasks, newTask(f, fleettest.Echo))...)
		if first.ids != nil || again.ids != nil || more.ids != nil {
			t.Error("answered before the commit")
		}
		release()
		synctest.Wait()
		if first.id != again.id || first.ids == nil {
			t.Errorf("%+v and %+v", first, again)
		}
		first.holds(f, 3, first.ids...)
		more.holds(f, 4, more.ids...)
	})
}

func TestABatchSentAgainIsItsOwnersAlone(t *testing.T) {
	everywhere(t, func(f *daemontest.Farm) {
		tasks := echoes(f, 2)
		sendBatch(f, daemontest.Who(), tasks...)
		other := sendBatch(f, stranger, append(tasks, newTask(f, fleettest.Echo))...)
		if !errors.Is(other.errs[0], task.ErrConflict) || !errors.Is(other.errs[1], task.ErrConflict) || other.errs[2] != nil {
			t.Errorf("somebody else's tasks: %v", other.errs)
		}
		other.holds(f, 1, other.ids[2])
		if v, err := f.Engine.Batch(stranger, other.id); err != nil || v.Total != 1 {
			t.Errorf("his own batch: %+v %v", v, err)
		}
	})
}

// However the daemon ends, a batch goes on with all its tasks, whichever batch they came
// with first.
func TestABatchOutlivesTheDaemon(t *testing.T) {
	for name, end := range map[string]func(f *daemontest.Farm){"in order": (*daemontest.Farm).Restart, "by a crash": (*daemontest.Farm).Crash} {
		t.Run(name, func(t *testing.T) {
			daemontest.Keeping(t, daemontest.One(1, 2), func(f *daemontest.Farm) {
				tasks := echoes(f, 4)
				first := sendBatch(f, daemontest.Who(), tasks[:3]...)
				overlaps := sendBatch(f, daemontest.Who(), tasks[2:]...)
				end(f)
				first.holds(f, 3, idsOf(tasks[:3]...)...)
				overlaps.holds(f, 2, idsOf(tasks[2:]...)...)
				if again := sendBatch(f, daemontest.Who(), tasks[2:]...); again.id != overlaps.id {
					t.Error("sent again after that it is another")
				}
				end(f)
				overlaps.holds(f, 2, idsOf(tasks[2:]...)...)
			})
		})
	}
}

func TestWhatIsGoneOfABatchGoesOnCounting(t *testing.T) {
	for name, end := range map[string]func(f *daemontest.Farm){"in order": (*daemontest.Farm).Restart, "by a crash": (*daemontest.Farm).Crash} {
		t.Run(name, func(t *testing.T) {
			c := daemontest.One(1, 2)
			c.Results.TTL = time.Hour
			daemontest.Keeping(t, c, func(f *daemontest.Farm) {
				tasks := echoes(f, 5)
				for _, k := range tasks[:2] {
					k.Extra.ResultTTL = task.Duration(time.Minute)
				}
				first := sendBatch(f, daemontest.Who(), tasks[:4]...)
				overlaps := sendBatch(f, daemontest.Who(), tasks[1:]...)
				f.Pass(time.Minute)
				for range 3 {
					first.holds(f, 4, idsOf(tasks[2:4]...)...)
					overlaps.holds(f, 4, idsOf(tasks[2:]...)...)
					end(f)
				}
				if v, err := f.Engine.Batch(daemontest.Who(), first.id); err != nil || v.Tasks["completed"] != 4 || !v.Done {
					t.Errorf("%+v %v", v, err)
				}
				f.Pass(2 * time.Hour)
				if _, err := f.Engine.Batch(daemontest.Who(), first.id); !errors.Is(err, api.ErrBatchNotFound) {
					t.Errorf("none of its tasks is kept: %v", err)
				}
				end(f)
				if _, err := f.Engine.Batch(daemontest.Who(), overlaps.id); !errors.Is(err, api.ErrBatchNotFound) {
					t.Errorf("none of its tasks is kept: %v", err)
				}
			})
		})
	}
}

// What went by its ttl is a new task, so the batch is another one.
func TestABatchSentAgainWhenSomeResultsAreGoneRunsTheseAgain(t *testing.T) {
	everywhere(t, func(f *daemontest.Farm) {
		tasks := echoes(f, 3)
		tasks[0].Extra.ResultTTL = task.Duration(time.Minute)
		first := sendBatch(f, daemontest.Who(), tasks...)
		f.Pass(2 * time.Minute)
		again := sendBatch(f, daemontest.Who(), tasks...)
		if again.id == first.id {
			t.Error("a batch with a new task is the old one")
		}
		first.holds(f, 3, idsOf(tasks[1:]...)...)
		again.holds(f, 3, idsOf(tasks...)...)
	})
}

func TestResultsOfABatchComeInTheOrderOfTheirEndsAfterAStart(t *testing.T) {
	daemontest.Keeping(t, daemontest.One(1, 4), func(f *daemontest.Farm) {
		var tasks []*task.Task
		for _, d := range []string{`"3m"`, `"1m"`, `"4m"`, `"2m"`} {
			k := newTask(f, fleettest.Sleeps)
			k.Params = []byte(d)
			tasks = append(tasks, k)
		}
		b := sendBatch(f, daemontest.Who(), tasks...)
		other := sendBatch(f, daemontest.Who(), tasks[0], tasks[1], newTask(f, fleettest.Echo))
		f.SetClock(-time.Hour) // the order does not go by the clock on the wall
		f.Pass(90 * time.Second)
		f.SetClock(-2 * time.Hour)
		f.Pass(10 * time.Minute)
		want := []task.ID{tasks[1].ID, tasks[3].ID, tasks[0].ID, tasks[2].ID}
		last := other.ids[2] // it waits for a thread
		for range 3 {
			if got := b.results(f); !slices.Equal(got, want) {
				t.Errorf("the results come as %v, want %v", got, want)
			}
			if got := other.results(f); !slices.Equal(got, []task.ID{tasks[1].ID, last, tasks[0].ID}) {
				t.Errorf("the other batch's come as %v", got)
			}
			f.Restart()
		}
	})
}
