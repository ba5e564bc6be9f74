package task_test

import (
	"errors"
	"testing"

	"cpulb/daemon/task"
)

func TestFourStatusesAreTerminal(t *testing.T) {
	terminal := 0
	for _, s := range task.Statuses() {
		if s.Terminal() {
			terminal++
		}
	}
	if terminal != 4 || task.Running.Terminal() {
		t.Errorf("%d statuses are terminal", terminal)
	}
	if name := task.Status(99).String(); name != "status(99)" {
		t.Errorf("a status that does not exist is called %q", name)
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

func TestTheErrorOfAResultSaysHowTheTaskEnded(t *testing.T) {
	if err := (&task.Result{Status: task.Completed}).Err(); err != nil {
		t.Error(err)
	}
	id := task.NewID()
	err := (&task.Result{ID: id, Status: task.Failed, Error: &task.Error{Type: "ValueError", Message: "too small", Code: "exception"}}).Err()
	var f *task.Failure
	if !errors.As(err, &f) || f.Reason.Code != "exception" || err.Error() != "task "+id.String()+": failed [exception]: ValueError: too small" {
		t.Error(err)
	}
	if err := (&task.Result{ID: id, Status: task.Cancelled}).Err(); err.Error() != "task "+id.String()+": cancelled" {
		t.Error(err)
	}
}
