package task_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"cpulb/daemon/task"
)

// The moves that a task's life has, written down a second time.
var legal = map[[2]task.Status]bool{
	{task.Pending, task.Queued}:    true, // its time, its retry or its key has come
	{task.Pending, task.Failed}:    true, // expired, dropped
	{task.Pending, task.Cancelled}: true,
	{task.Queued, task.Pending}:    true, // its key is at its limit
	{task.Queued, task.Running}:    true,
	{task.Queued, task.Failed}:     true, // expired, dropped, lost with its worker
	{task.Queued, task.Cancelled}:  true,
	{task.Running, task.Pending}:   true, // a retry after a pause
	{task.Running, task.Queued}:    true, // its worker died
	{task.Running, task.Completed}: true,
	{task.Running, task.Failed}:    true,
	{task.Running, task.Cancelled}: true,
	{task.Running, task.TimedOut}:  true,
}

func TestEveryMoveIsAllowedOrForbidden(t *testing.T) {
	for _, from := range task.Statuses() {
		for _, to := range task.Statuses() {
			want := legal[[2]task.Status{from, to}]
			if from.CanBecome(to) != want {
				t.Errorf("%s to %s: allowed is %v", from, to, !want)
			}
			var s task.State
			reach(t, &s, from)
			err := s.Move(from, to)
			if want != (err == nil) || !want && !errors.Is(err, task.ErrIllegalMove) {
				t.Errorf("%s to %s: %v", from, to, err)
			}
			if now := s.Load(); want && now != to || !want && now != from {
				t.Errorf("%s to %s: it is %s", from, to, now)
			}
		}
	}
}

// reach brings a fresh state to a status along the table.
func reach(t *testing.T, s *task.State, status task.Status) {
	t.Helper()
	path := []task.Status{task.Pending, task.Queued, task.Running, status}
	if status <= task.Running {
		path = path[:status+1]
	}
	for i := range path[1:] {
		if err := s.Move(path[i], path[i+1]); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNothingLeadsOutOfATerminalStatus(t *testing.T) {
	terminal := 0
	for _, from := range task.Statuses() {
		out := 0
		for _, to := range task.Statuses() {
			if from.CanBecome(to) {
				out++
			}
		}
		if from.Terminal() != (out == 0) {
			t.Errorf("%s: terminal is %v, with %d moves", from, from.Terminal(), out)
		}
		if from.Terminal() {
			terminal++
		}
	}
	if terminal != 4 {
		t.Errorf("%d terminal statuses", terminal)
	}
	if task.Status(99).CanBecome(task.Queued) || task.Pending.CanBecome(99) {
		t.Error("a status that does not exist can move")
	}
}

func TestOfManyMoversOneWins(t *testing.T) {
	for range 100 {
		var s task.State
		reach(t, &s, task.Running)
		var won atomic.Int32
		var wg sync.WaitGroup
		for _, to := range []task.Status{task.Completed, task.Failed, task.Cancelled, task.TimedOut} {
			wg.Go(func() {
				if s.Move(task.Running, to) == nil {
					won.Add(1)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 || !s.Load().Terminal() {
			t.Fatalf("%d movers won, it is %s", won.Load(), s.Load())
		}
	}
}

func TestStatusesHaveNamesThatReadBack(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range task.Statuses() {
		text, _ := s.MarshalText()
		var back task.Status
		if err := back.UnmarshalText(text); err != nil || back != s || seen[string(text)] {
			t.Errorf("%s reads back as %s, %v", text, back, err)
		}
		seen[string(text)] = true
	}
	var field *task.FieldError
	if err := new(task.Status).UnmarshalText([]byte("done")); !errors.As(err, &field) || len(field.Allowed) != len(seen) {
		t.Errorf("an unknown status: %v", err)
	}
}
