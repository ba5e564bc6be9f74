package daemon

import (
	"errors"
	"slices"
	"testing"

	"cpulb/daemon/access"
	"cpulb/daemon/task"
)

// Whoever sets a field relies on it: to take the task and ignore the field would
// be worse than to refuse it.
func TestFieldsThatTheEngineDoesNotServeAreRefusedByName(t *testing.T) {
	values := map[string]string{"source": `"x"`, "expires_at": `"2036-01-01T00:00:00Z"`, "max_retries": `1`, "retry_backoff": `"1s"`,
		"run_at": `"2036-01-01T00:00:00Z"`, "delay": `"1s"`, "idempotency_key": `"k"`, "concurrency_key": `"k"`, "on_worker_lost": `"fail"`,
		"durable": `false`, "result_ttl": `"1s"`, "env": `{"A":"1"}`, "cwd": `"/"`}
	for _, name := range unserved() {
		if !slices.Contains(task.Fields(), name) {
			t.Errorf("there is no field %q", name)
		}
		text := `{"script_path":"/x.py","` + name + `":` + values[name] + `}`
		if name == "source" {
			text = `{"source":"x"}`
		}
		x, err := task.Decode([]byte(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		var field *task.FieldError
		e := &Engine{}
		e.rules.Store(&access.Rules{})
		e.Submit(t.Context(), access.Identity{}, x, nil, func(_ task.View, err error) {
			if !errors.As(err, &field) || field.Field != name {
				t.Errorf("%s: %v", text, err)
			}
		})
	}
	plain, err := task.Decode([]byte(`{"script_path":"/x.py","priority":9,"labels":{"a":"b"},"timeout":"1s"}`))
	if err != nil || refuseUnserved(plain) != nil {
		t.Errorf("a task of served fields is refused: %v", refuseUnserved(plain))
	}
}
