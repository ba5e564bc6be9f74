package program

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"cpulb/plugins"
)

// Reserved begins the names of variables that no task may set.
const Reserved = "CPULB_"

// Context is what a program may know of its task, as environment variables.
func Context(t *plugins.Task, c *plugins.Configuration, slot int) []string {
	labels := t.Labels
	if labels == nil {
		labels = map[string]string{}
	}
	text, _ := json.Marshal(labels) // strings always can be
	env := []string{
		"CPULB_TASK_ID=" + withoutNUL(t.ID),
		"CPULB_SCRIPT_PATH=" + withoutNUL(t.ScriptPath),
		"CPULB_TASK_TYPE=" + string(t.Type),
		"CPULB_ATTEMPT=" + strconv.Itoa(t.Attempt),
		"CPULB_LABELS=" + string(text),
		"CPULB_POOL=" + c.Pool,
		"CPULB_WORKER_ID=" + c.WorkerID,
		"CPULB_SLOT=" + strconv.Itoa(slot),
	}
	if t.Timeout > 0 {
		at := time.Now().Add(t.Timeout)
		env = append(env, "CPULB_DEADLINE="+strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', 3, 64))
	}
	if t.Traceparent != "" {
		env = append(env, "TRACEPARENT="+withoutNUL(t.Traceparent))
	}
	return env
}

// withoutNUL is text as it can stand in an environment.
func withoutNUL(text string) string { return strings.ReplaceAll(text, "\x00", "") }
