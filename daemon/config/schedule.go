package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"cpulb/daemon/schedule"
	"cpulb/daemon/task"

	"github.com/hashicorp/hcl/v2"
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
		key := "cron"
		if errors.Is(err, schedule.ErrZone) {
			key = "time_zone"
		}
		d.fail(d.at[name+"."+key], fmt.Sprintf("%s: %s", name, err))
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
		d.checkTask(name, t)
		d.config.Schedules = append(d.config.Schedules, Schedule{Name: b.options.Name, Options: made.Options(), Owner: b.owner, Task: *t,
			at: d.places(name)})
	}
}

// places returns where a block and its keys are.
func (d *decoder) places(block string) map[string]Error {
	all := map[string]Error{}
	for name, at := range d.at {
		if key, ok := strings.CutPrefix(name, block); ok && (key == "" || key[0] == '.') {
			all[strings.TrimPrefix(key, ".")] = Error{File: d.file, Line: at.Start.Line, Column: at.Start.Column}
		}
	}
	return all
}

// checkTask refuses a schedule whose tasks nobody would accept.
func (d *decoder) checkTask(name string, t *task.Task) {
	at := func(key string) hcl.Range { // a key that is not there is blamed on the block
		if at, ok := d.at[name+"."+key]; ok {
			return at
		}
		return d.at[name]
	}
	executor := t.Extras().Executor
	var pools, executors []string
	serves := false
	for _, p := range d.config.Pools {
		pools = append(pools, p.Name)
		serves = serves || slices.Contains(p.TaskTypes, string(t.Type)) && (executor == "" || executor == p.Executor)
	}
	for _, x := range d.config.Executors {
		executors = append(executors, x.Name)
	}
	switch {
	case t.Pool != "" && !slices.Contains(pools, t.Pool):
		d.fail(at("pool"), fmt.Sprintf("%s: no pool is named %q", name, t.Pool), pools...)
	case executor != "" && !slices.Contains(executors, executor):
		d.fail(at("executor"), fmt.Sprintf("%s: no executor %q is configured", name, executor), executors...)
	case t.Pool == "" && !serves && executor != "":
		d.fail(at("executor"), fmt.Sprintf("%s: no pool serves %s with the executor %q", name, t.Type, executor))
	case t.Pool == "" && !serves:
		d.fail(at("task_type"), fmt.Sprintf("%s: no pool serves %s", name, t.Type))
	}
}
