package daemon_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/access"
	"cpulb/daemon/config"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
)

// eventsOf are those of a task that are there after a cursor.
func eventsOf(f *daemontest.Farm, id task.ID, after task.Cursor) (all []*task.Event) {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.Context(), time.Millisecond)
	defer cancel()
	events, err := f.Events(ctx, daemontest.Who(), id, after)
	if err != nil {
		f.Fatal(err)
	}
	for ev, err := range events {
		if err != nil {
			break
		}
		all = append(all, ev)
	}
	return all
}

// shown are events as a reader tells them apart.
func shown(all []*task.Event) string {
	var text strings.Builder
	for _, ev := range all {
		fmt.Fprintf(&text, "%d.%d %s %s %s %d\n", ev.Cursor.Attempt, ev.Cursor.Seq, ev.Kind, ev.Value, ev.Message, ev.Missed)
	}
	return text.String()
}

func TestEventsOfATaskThatHasEndedAreThereAfterACrash(t *testing.T) {
	daemontest.Keeping(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		ids := []task.ID{f.Submit(fleettest.Chats), f.Submit(fleettest.Streams, daemontest.Params("20"))}
		f.Ends("completed", 1, ids...)
		for _, again := range []func(){f.Crash, f.Restart} {
			var before []string
			for _, id := range ids {
				before = append(before, shown(eventsOf(f, id, task.Cursor{})))
			}
			again()
			for i, id := range ids {
				if now := shown(eventsOf(f, id, task.Cursor{})); now != before[i] || !strings.Contains(now, "partial") {
					t.Errorf("before:\n%safter:\n%s", before[i], now)
				}
			}
		}
	})
}

// What of a task's events had been there for eventsWait is there after a crash, then what
// follows, and a reader who goes on from his cursor gets nothing twice.
func TestEventsOfATaskThatRunsAreThereAfterACrash(t *testing.T) {
	daemontest.Keeping(t, daemontest.One(1, 2), func(f *daemontest.Farm) {
		id := f.Submit(fleettest.Streams, daemontest.Params("30"))
		f.Submit(fleettest.Sleeps) // so that nobody is to blame
		f.Pass(5*time.Second + 200*time.Millisecond)
		before := eventsOf(f, id, task.Cursor{})
		f.Crash()
		after := eventsOf(f, id, task.Cursor{})
		if !strings.HasPrefix(shown(after), shown(before)) {
			t.Fatalf("before:\n%safter:\n%s", shown(before), shown(after))
		}
		if again := after[len(before)]; again.Kind != task.EventState || !strings.Contains(again.Message, "restarted") {
			t.Errorf("%+v", again)
		}
		f.Ends("completed", 2, id)
		rest := eventsOf(f, id, before[len(before)-1].Cursor)
		var values []string
		for _, ev := range rest {
			if ev.Kind == task.EventPartial {
				values = append(values, string(ev.Value))
			}
		}
		if len(values) != 30 || rest[len(rest)-1].Kind != task.EventResult {
			t.Errorf("%s", shown(rest))
		}
	})
}

func TestEventsOfAVolatileTaskAreNotKept(t *testing.T) {
	daemontest.Keeping(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		f.Ends("completed", 1, f.Submit(fleettest.Chats, func(k *task.Task) { k.Extra.Durable = new(false) }))
		f.Restart()
	})
}

// eventModel is a reader of some tasks over many lives of the daemon.
type eventModel struct {
	*daemontest.Farm
	chance *rand.Rand
	tasks  []task.ID
	// seen is all that was shown of a task, by cursor; firm is up to where it must be shown
	// again, and at is how far the reader has come.
	seen map[task.ID]map[task.Cursor]string
	firm map[task.ID]task.Cursor
	at   map[task.ID]task.Cursor
}

// read has the reader go on, and looks at all that is shown from the beginning.
func (m *eventModel) read() {
	for _, id := range m.tasks {
		for _, ev := range eventsOf(m.Farm, id, m.at[id]) {
			if ev.Cursor.Compare(m.at[id]) <= 0 {
				m.Errorf("%v comes after %v", ev.Cursor, m.at[id])
			}
			m.at[id] = ev.Cursor
		}
		all := eventsOf(m.Farm, id, task.Cursor{})
		shows := map[task.Cursor]bool{}
		gap := task.Cursor{} // up to it notes may be missing
		for i, ev := range all {
			text := fmt.Sprint(ev.Kind, string(ev.Value), ev.Message)
			if was, ok := m.seen[id][ev.Cursor]; ok && ev.Kind != task.EventGap && was != text && !strings.HasPrefix(was, "gap") {
				m.Errorf("%v was %s and is %s", ev.Cursor, was, text)
			}
			if i > 0 && ev.Cursor.Compare(all[i-1].Cursor) <= 0 {
				m.Errorf("%v comes after %v", ev.Cursor, all[i-1].Cursor)
			}
			if ev.Kind == task.EventGap {
				gap = ev.Cursor
			}
			m.seen[id][ev.Cursor], shows[ev.Cursor] = text, true
		}
		for at, text := range m.seen[id] {
			note := strings.HasPrefix(text, "progress") || strings.HasPrefix(text, "gap")
			if at.Compare(m.firm[id]) > 0 && !shows[at] { // lost with the daemon
				delete(m.seen[id], at)
			} else if !shows[at] && !(note && at.Compare(gap) < 0) {
				m.Errorf("%v %s is not shown any more:\n%s", at, text, shown(all))
			}
		}
	}
}

func (m *eventModel) step() {
	m.Pass(time.Duration(m.chance.IntN(4000)) * time.Millisecond)
	switch m.chance.IntN(6) {
	case 0:
		m.tasks = append(m.tasks, m.Submit(fleettest.Streams, daemontest.Params(fmt.Sprint(m.chance.IntN(200)))))
		m.seen[m.tasks[len(m.tasks)-1]] = map[task.Cursor]string{}
	case 1:
		m.Crash()
	case 2:
		m.settle()
		m.Restart()
	case 3:
		m.settle()
		m.Crash()
	}
	m.read()
}

// settle notes that what is shown now is certain, after the time that it takes.
func (m *eventModel) settle() {
	m.read()
	for _, id := range m.tasks {
		m.firm[id] = m.at[id]
	}
	m.Pass(100 * time.Millisecond)
}

// Over restarts and crashes a reader gets every event that was written, in order, none
// twice; where notes are missing a gap says so.
func TestEventLogsGoOnOverRestartsAndCrashes(t *testing.T) {
	rounds := uint64(20)
	if testing.Short() {
		rounds = 2
	}
	for seed := range rounds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			daemontest.Keeping(t, lossy(), func(f *daemontest.Farm) {
				m := &eventModel{Farm: f, chance: rand.New(rand.NewPCG(seed, 3)), seen: map[task.ID]map[task.Cursor]string{},
					firm: map[task.ID]task.Cursor{}, at: map[task.ID]task.Cursor{}}
				f.Submit(fleettest.Sleeps, daemontest.Params("1000h")) // so that nobody is to blame
				for range 40 {
					m.step()
				}
			})
		})
	}
}

// lossy is a configuration that keeps few notes.
func lossy() *config.Config {
	c := daemontest.One(1, 20)
	c.Limits.EventBytes = 5000
	c.Results.TTL = 10000 * time.Hour
	return c
}

// What events take in the journal is in front of what comes after them: so only some go there
// at a time, and as much of each caller's.
func TestTheEventsOfOneCallersTasksDoNotHoldUpOthersInTheJournal(t *testing.T) {
	daemontest.Keeping(t, daemontest.One(1, 11), func(f *daemontest.Farm) {
		for i := range 11 {
			who, k := access.Identity{UID: 1001}, newTask(f, fleettest.Babbles)
			if i == 0 {
				who.UID, k = 1002, newTask(f, fleettest.Streams)
			}
			if _, err, _ := answer(f, who, k, nil); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(310 * time.Millisecond) // an event of the second caller's just came
		bytes, left := f.Engine.SaveSome()
		for range 3 { // as if nothing came in between
			if bytes > 1<<20+50_000 {
				t.Errorf("%d bytes go into the journal at once", bytes)
			}
			if left[1002] > 0 {
				t.Errorf("what waits of the others: %v", left)
			}
			bytes, left = f.Engine.SaveSome()
		}
		f.Pass(5 * time.Second)
		if bytes, left := f.Engine.SaveSome(); bytes != 0 || len(left) > 0 {
			t.Errorf("after a while %d bytes are left: %v", bytes, left)
		}
	})
}

// Whoever has read all events but the result goes on behind the last of them, also without a
// journal.
func TestTheResultHasACursorOfItsOwn(t *testing.T) {
	test := func(f *daemontest.Farm) {
		for _, script := range []string{fleettest.Chats, fleettest.Streams} {
			id := f.Submit(script, daemontest.Params("3"))
			f.Ends("completed", 1, id)
			all := eventsOf(f, id, task.Cursor{})
			rest := eventsOf(f, id, all[len(all)-2].Cursor)
			if len(all) < 3 || len(rest) != 1 || rest[0].Kind != task.EventResult || rest[0].Cursor.Compare(all[len(all)-2].Cursor) <= 0 {
				f.Errorf("%s:\n%sbehind the last but one:\n%s", script, shown(all), shown(rest))
			}
		}
	}
	daemontest.On(t, daemontest.One(1, 1), test)
	daemontest.Keeping(t, daemontest.One(1, 1), test)
}
