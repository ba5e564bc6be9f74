package daemon_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/config"
	"cpulb/daemon/schedule"
	"cpulb/daemon/task"
)

// setTo sets the engine's clock and has it look at it.
func (m *machine) setTo(t *testing.T, now time.Time) {
	t.Helper()
	m.offset.Store(int64(time.Until(now)))
	m.wake(t)
}

func (m *machine) wake(t *testing.T) {
	t.Helper()
	if err := m.engine.Drain(m.who); err != nil {
		t.Fatal(err)
	}
	if err := m.engine.Resume(m.who); err != nil {
		t.Fatal(err)
	}
}

// scheduled waits until a schedule has fired so often, and returns the ids.
func (m *machine) scheduled(t *testing.T, n int) map[task.ID]bool {
	t.Helper()
	for t.Context().Err() == nil {
		list, err := m.engine.List(context.Background(), m.who, api.Filter{Labels: map[string]string{"schedule": "s"}}, api.Page{})
		if err != nil {
			t.Fatal(err)
		}
		if len(list.Tasks) >= n {
			ids := map[task.ID]bool{}
			for _, v := range list.Tasks {
				ids[v.ID] = true
				if _, err := m.engine.Result(t.Context(), m.who, v.ID); err != nil {
					t.Fatal(err)
				}
			}
			if len(ids) != n {
				t.Fatalf("%d tasks, want %d", len(ids), n)
			}
			return ids
		}
		time.Sleep(time.Millisecond) // there is no event for it
	}
	t.Fatal("the schedule has not fired")
	return nil
}

func TestAScheduleFiresOnceForEachOfItsTimesAlsoAcrossRestarts(t *testing.T) {
	dir, err := os.MkdirTemp("", "model")
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{dir: dir, tasks: map[task.ID]*known{}, config: config.Default()}
	m.configure()
	path := filepath.Join(dir, echo)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m.config.Schedules = []config.Schedule{{Name: "s", Options: schedule.Options{Name: "s", Cron: "*/10 * * * *", TimeZone: "UTC", Overlap: schedule.Queue, CatchUp: schedule.Last},
		Task: task.Task{ScriptPath: path, Function: "main", Params: []byte("7"), Type: task.CPUBound, Priority: 5}}}
	day := time.Now().UTC().Truncate(24 * time.Hour).Add(36 * time.Hour)
	m.offset.Store(int64(time.Until(day.Add(time.Minute))))
	starter(t, m)
	t.Cleanup(m.close)
	m.setTo(t, day.Add(10*time.Minute))
	first := m.scheduled(t, 1)
	m.setTo(t, day.Add(5*time.Minute)) // the clock is set back
	m.setTo(t, day.Add(11*time.Minute))
	m.stop()
	starter(t, m)
	m.wake(t)
	if again := m.scheduled(t, 1); !again[only(first)] {
		t.Errorf("after a restart: %v, before: %v", again, first)
	}
	m.stop()
	m.offset.Store(int64(time.Until(day.Add(45 * time.Minute)))) // three times pass meanwhile
	starter(t, m)
	m.wake(t)
	m.scheduled(t, 2)
	s := m.engine.Schedules()[0]
	if s.Next == nil || !s.Next.Equal(day.Add(50*time.Minute)) || s.LastTask == nil {
		t.Errorf("%+v", s)
	}
}

func only(ids map[task.ID]bool) task.ID {
	for id := range ids {
		return id
	}
	return task.ID{}
}

func starter(t *testing.T, m *machine) {
	t.Helper()
	if err := m.start(); err != nil {
		t.Fatal(err)
	}
}
