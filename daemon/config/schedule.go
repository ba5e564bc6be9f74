package config

import (
	"encoding/json"
	"errors"
	"fmt"

	"cpulb/daemon/schedule"
	"cpulb/daemon/task"

	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// scheduleBlock gathers a schedule's keys: when its task comes, and what the task
// says, which is checked as that of a client is.
type scheduleBlock struct {
	options          schedule.Options
	overlap, catchUp string
	owner            string
	task             map[string]json.RawMessage
}

// scheduledFields are the task's own keys that a schedule takes.
func scheduledFields() []string {
	return []string{"script_path", "function", "params", "task_type", "pool", "executor", "priority", "timeout",
		"max_retries", "retry_backoff", "concurrency_key", "on_worker_lost", "durable", "result_ttl", "labels"}
}

func (d *decoder) scheduleKeys(name string) []keyKind {
	b := &scheduleBlock{options: schedule.Options{Name: name}, task: map[string]json.RawMessage{}}
	d.schedules = append(d.schedules, b)
	keys := []keyKind{
		{name: "cron", required: true, set: setText(&b.options.Cron, notEmpty)},
		{name: "time_zone", set: setText(&b.options.TimeZone, nil)},
		{name: "overlap", set: setOneOf(&b.overlap, string(schedule.Skip), string(schedule.Queue))},
		{name: "catch_up", set: setOneOf(&b.catchUp, string(schedule.None), string(schedule.Last), string(schedule.All))},
		{name: "owner", set: setText(&b.owner, nil)},
	}
	for _, field := range scheduledFields() {
		keys = append(keys, keyKind{name: field, required: field == "script_path", set: func(v cty.Value) error {
			text, err := asJSON(v)
			b.task[field] = text
			return err
		}})
	}
	return keys
}

// asJSON is what a client would have sent.
func asJSON(v cty.Value) (json.RawMessage, error) {
	if !v.IsWhollyKnown() {
		return nil, errors.New("is not a value")
	}
	return ctyjson.Marshal(v, v.Type())
}

// schedule completes a block that has been read.
func (d *decoder) schedule(b *scheduleBlock) {
	name := "schedule " + b.options.Name
	b.options.Overlap, b.options.CatchUp = schedule.Overlap(b.overlap), schedule.CatchUp(b.catchUp)
	if _, ok := d.at[name+".cron"]; !ok || b.task["script_path"] == nil {
		return // that has been reported
	}
	made, err := schedule.New(b.options)
	if err != nil {
		d.fail(d.at[name+".cron"], fmt.Sprintf("%s: %s", name, err))
		return
	}
	text, err := json.Marshal(b.task)
	if err != nil {
		d.fail(d.at[name], fmt.Sprintf("%s: %s", name, err))
		return
	}
	t, err := task.Decode(text)
	var field *task.FieldError
	switch {
	case errors.As(err, &field):
		d.fail(d.at[name+"."+field.Field], fmt.Sprintf("%s: %s", name, err))
	case err != nil:
		d.fail(d.at[name], fmt.Sprintf("%s: %s", name, err))
	default:
		t.ID = task.ID{}
		d.config.Schedules = append(d.config.Schedules, Schedule{Name: b.options.Name, Options: made.Options(), Owner: b.owner, Task: *t})
	}
}
