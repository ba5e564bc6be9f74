package task

import (
	"slices"
	"time"
)

// field is one JSON name of a task. The table of them is the only authority on the
// fields of a task: Decode, AppendJSON, Same, Gives and Fields follow it.
type field struct {
	name string
	// read sets the field from the value that comes next in s, which is not null.
	read func(s *scanner, t *Task) error
	// write appends the value, of which given reports whether t has it.
	write func(b []byte, t *Task) []byte
	given func(t *Task) bool
	// same reports whether t and u have the same value; an absent field has its
	// default.
	same func(t, u *Task) bool
}

var fields = [...]field{
	common("task_id", ids, func(t *Task) *ID { return &t.ID }),
	common("script_path", sharedTexts, func(t *Task) *string { return &t.ScriptPath }),
	rare("source", filledTexts, func(x *Extras) *string { return &x.Source }),
	common("function", functions, func(t *Task) *string { return &t.Function }),
	common("params", anyJSON, func(t *Task) *jsonText { return (*jsonText)(&t.Params) }),
	common("task_type", types, func(t *Task) *Type { return &t.Type }),
	common("pool", sharedTexts, func(t *Task) *string { return &t.Pool }),
	rare("executor", sharedTexts, func(x *Extras) *string { return &x.Executor }),
	common("priority", wholes(true), func(t *Task) *int { return &t.Priority }),
	common("timeout", durations, func(t *Task) *Duration { return &t.Timeout }),
	rare("expires_at", times, func(x *Extras) *time.Time { return &x.ExpiresAt }),
	rare("max_retries", wholes(false), func(x *Extras) *int { return &x.MaxRetries }),
	rare("retry_backoff", lasting, func(x *Extras) *Duration { return &x.RetryBackoff }),
	rare("run_at", times, func(x *Extras) *time.Time { return &x.RunAt }),
	rare("delay", durations, func(x *Extras) *Duration { return &x.Delay }),
	rare("idempotency_key", filledTexts, func(x *Extras) *string { return &x.IdempotencyKey }),
	rare("concurrency_key", filledTexts, func(x *Extras) *string { return &x.ConcurrencyKey }),
	rare("on_worker_lost", filledTexts, func(x *Extras) *string { return (*string)(&x.OnWorkerLost) }),
	rare("durable", switches, func(x *Extras) **bool { return &x.Durable }),
	rare("result_ttl", lasting, func(x *Extras) *Duration { return &x.ResultTTL }),
	common("labels", objects(MaxLabels), func(t *Task) *map[string]string { return &t.Labels }),
	rare("env", objects(MaxVariables), func(x *Extras) *map[string]string { return &x.Env }),
	rare("cwd", filledTexts, func(x *Extras) *string { return &x.Cwd }),
	rare("traceparent", texts, func(x *Extras) *string { return &x.Traceparent }),
}

// fieldNames are those of the table.
var fieldNames = func() names {
	all := make([]string, len(fields))
	for i := range fields {
		all[i] = fields[i].name
	}
	return namesOf(all...)
}()

// Fields lists the JSON names of a task; Decode accepts no others.
func Fields() []string { return slices.Clone(fieldNames.all) }

// common is a field of Task itself.
func common[V any](name string, k kind[V], at func(*Task) *V) field {
	return field{
		name: name,
		read: func(s *scanner, t *Task) (err error) {
			*at(t), err = k.read(s, name)
			return err
		},
		write: func(b []byte, t *Task) []byte { return k.write(b, *at(t)) },
		given: func(t *Task) bool { return !k.absent(*at(t)) },
		same:  func(t, u *Task) bool { return k.same(*at(t), *at(u)) },
	}
}

// rare is a field of Extras, which are made when the first one is read.
func rare[V any](name string, k kind[V], at func(*Extras) *V) field {
	return field{
		name: name,
		read: func(s *scanner, t *Task) (err error) {
			if t.Extra == nil {
				t.Extra = &Extras{}
			}
			*at(t.Extra), err = k.read(s, name)
			return err
		},
		write: func(b []byte, t *Task) []byte { return k.write(b, *at(t.Extra)) },
		given: func(t *Task) bool { return t.Extra != nil && !k.absent(*at(t.Extra)) },
		same: func(t, u *Task) bool {
			if t.Extra == nil && u.Extra == nil {
				return true
			}
			x, y := t.Extras(), u.Extras()
			return k.same(*at(&x), *at(&y))
		},
	}
}

// Gives reports whether t has a value in the field with this JSON name.
func (t *Task) Gives(name string) bool {
	i, ok := fieldNames.places[name]
	return ok && fields[i].given(t)
}

// Same reports whether t and u are equal in every field, which distinguishes a task
// that is sent again from another one with its id. Params are compared by SameParams.
func (t *Task) Same(u *Task) bool {
	return t.SameBesideParams(u) && SameParams(t.Params, u.Params)
}

// SameBesideParams is Same without a look at the params, which may be large.
func (t *Task) SameBesideParams(u *Task) bool {
	for i := range fields {
		if fields[i].name != "params" && !fields[i].same(t, u) {
			return false
		}
	}
	return true
}
