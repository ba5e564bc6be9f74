package task

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of a task's fields. Params are limited by the size of the request alone.
const (
	MaxPathBytes       = 4095 // as Linux, whose PATH_MAX counts the NUL
	MaxFunctionBytes   = 255
	MaxNameBytes       = 64 // of a pool, an executor
	MaxKeyBytes        = 255
	MaxTraceBytes      = 255
	MaxSourceBytes     = 1 << 20
	MaxRetries         = 1000
	MaxLabels          = 64
	MaxLabelNameBytes  = 63
	MaxLabelValueBytes = 1023
	MaxVariables       = 256
	MaxVariableBytes   = 32 << 10 // of a name and its value
)

// Validate returns the first error in t, as a FieldError.
func (t *Task) Validate() error {
	for _, check := range [...]func(*Task) error{(*Task).checkScript, (*Task).checkChoice, (*Task).checkLabels} {
		if err := check(t); err != nil {
			return err
		}
	}
	if t.Extra != nil {
		return t.Extra.validate()
	}
	return nil
}

func (t *Task) checkScript() error {
	source := t.Extra != nil && t.Extra.Source != ""
	switch {
	case t.ID == ID{}:
		return errNilID()
	case t.ScriptPath == "" && !source:
		return &FieldError{Field: "script_path", Problem: "is missing"}
	case t.ScriptPath != "" && source:
		return &FieldError{Field: "source", Problem: "is given beside script_path; give one of them"}
	case t.ScriptPath != "":
		if err := checkPath("script_path", t.ScriptPath); err != nil {
			return err
		}
	}
	if t.Function == "" {
		return &FieldError{Field: "function", Problem: "is empty"}
	}
	return checkText("function", t.Function, MaxFunctionBytes)
}

func errNilID() error {
	return &FieldError{Field: "task_id", Problem: "is the nil UUID, which is not an id"}
}

func (t *Task) checkChoice() error {
	switch {
	case t.Type != CPUBound && t.Type != IOBound:
		return &FieldError{Field: "task_type", Problem: fmt.Sprintf("unknown task type %q", clip(string(t.Type))), Allowed: Types()}
	case t.Priority < 0 || t.Priority > 9:
		return &FieldError{Field: "priority", Problem: fmt.Sprintf("%d is not within 0 to 9", t.Priority)}
	}
	return cmp.Or(checkDuration("timeout", t.Timeout), checkText("pool", t.Pool, MaxNameBytes))
}

func (t *Task) checkLabels() error {
	if len(t.Labels) > MaxLabels {
		return errTooMany("labels", MaxLabels)
	}
	for name, value := range t.Labels {
		problem := ""
		switch {
		case name == "" || len(name) > MaxLabelNameBytes || strings.Contains(name, "=") || !isPlain(name):
			problem = fmt.Sprintf(`name must have 1 to %d bytes, no "=" and no control characters`, MaxLabelNameBytes)
		case len(value) > MaxLabelValueBytes || !utf8.ValidString(value):
			problem = fmt.Sprintf("value must be text of at most %d bytes", MaxLabelValueBytes)
		default:
			continue
		}
		return &FieldError{Field: "labels", Problem: fmt.Sprintf("%q: the %s", clip(name), problem)}
	}
	return nil
}

func (x *Extras) validate() error {
	for _, check := range [...]func(*Extras) error{(*Extras).checkTimes, (*Extras).checkPolicies, (*Extras).checkTexts, (*Extras).checkEnv} {
		if err := check(x); err != nil {
			return err
		}
	}
	return nil
}

func (x *Extras) checkTimes() error {
	switch {
	case !x.RunAt.IsZero() && x.Delay != 0:
		return &FieldError{Field: "delay", Problem: "is given beside run_at; give one of them"}
	case !validTime(x.RunAt):
		return &FieldError{Field: "run_at", Problem: "is not within the years 1970 to 9999"}
	case !validTime(x.ExpiresAt):
		return &FieldError{Field: "expires_at", Problem: "is not within the years 1970 to 9999"}
	case !x.RunAt.IsZero() && !x.ExpiresAt.IsZero() && !x.ExpiresAt.After(x.RunAt):
		return &FieldError{Field: "expires_at", Problem: "is not after run_at: the task could never start"}
	}
	return cmp.Or(checkDuration("delay", x.Delay), checkDuration("retry_backoff", x.RetryBackoff), checkDuration("result_ttl", x.ResultTTL))
}

// validTime reports whether t is absent or has a year that JSON can carry.
func validTime(t time.Time) bool { return t.IsZero() || t.Year() >= 1970 && t.Year() <= 9999 }

func (x *Extras) checkPolicies() error {
	switch {
	case x.MaxRetries < 0 || x.MaxRetries > MaxRetries:
		return &FieldError{Field: "max_retries", Problem: fmt.Sprintf("%d is not within 0 to %d", x.MaxRetries, MaxRetries)}
	case x.OnWorkerLost != "" && x.OnWorkerLost != Requeue && x.OnWorkerLost != Fail:
		return &FieldError{Field: "on_worker_lost", Problem: fmt.Sprintf("unknown policy %q", clip(string(x.OnWorkerLost))), Allowed: LostPolicies()}
	}
	return nil
}

func (x *Extras) checkTexts() error {
	switch {
	case len(x.Source) > MaxSourceBytes:
		return &FieldError{Field: "source", Problem: fmt.Sprintf("has %d bytes, at most %d are allowed", len(x.Source), MaxSourceBytes)}
	case strings.ContainsRune(x.Source, 0):
		return &FieldError{Field: "source", Problem: "contains a NUL byte"}
	case !utf8.ValidString(x.Source):
		return errNotText("source")
	}
	err := cmp.Or(checkText("executor", x.Executor, MaxNameBytes), checkText("idempotency_key", x.IdempotencyKey, MaxKeyBytes),
		checkText("concurrency_key", x.ConcurrencyKey, MaxKeyBytes), checkText("traceparent", x.Traceparent, MaxTraceBytes))
	if err == nil && x.Cwd != "" {
		err = checkPath("cwd", x.Cwd)
	}
	return err
}

func (x *Extras) checkEnv() error {
	if len(x.Env) > MaxVariables {
		return errTooMany("env", MaxVariables)
	}
	for name, value := range x.Env {
		switch {
		case name == "" || strings.ContainsAny(name, "=\x00"):
			return &FieldError{Field: "env", Problem: fmt.Sprintf(`%q: a name must not be empty nor have a NUL byte or "="`, clip(name))}
		case !utf8.ValidString(name) || !utf8.ValidString(value):
			return errNotText("env")
		case strings.ContainsRune(value, 0):
			return &FieldError{Field: "env", Problem: fmt.Sprintf("%q: the value contains a NUL byte", clip(name))}
		case len(name)+len(value) > MaxVariableBytes:
			return &FieldError{Field: "env", Problem: fmt.Sprintf("%q: name and value have more than %d bytes", clip(name), MaxVariableBytes)}
		}
	}
	return nil
}

func checkPath(field, path string) error {
	switch {
	case !utf8.ValidString(path):
		return errNotText(field)
	case strings.ContainsRune(path, 0):
		return &FieldError{Field: field, Problem: "contains a NUL byte"}
	case !filepath.IsAbs(path):
		return &FieldError{Field: field, Problem: fmt.Sprintf("%q is not absolute; clients resolve it", clip(path))}
	case len(path) > MaxPathBytes:
		return &FieldError{Field: field, Problem: fmt.Sprintf("has %d bytes, at most %d are allowed", len(path), MaxPathBytes)}
	}
	return nil
}

// checkText bounds a name or key. Control characters would break the lines of
// logs and tables.
func checkText(field, text string, most int) error {
	switch {
	case len(text) > most:
		return &FieldError{Field: field, Problem: fmt.Sprintf("has %d bytes, at most %d are allowed", len(text), most)}
	case !isPlain(text):
		return &FieldError{Field: field, Problem: fmt.Sprintf("%q has control characters or is not UTF-8", clip(text))}
	}
	return nil
}

// isPlain reports whether text is UTF-8 without control characters.
func isPlain(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func checkDuration(field string, d Duration) error {
	switch {
	case d < 0:
		return &FieldError{Field: field, Problem: "is negative"}
	case d > MaxDuration:
		return &FieldError{Field: field, Problem: fmt.Sprintf("%s is more than %s", d, MaxDuration)}
	}
	return nil
}
