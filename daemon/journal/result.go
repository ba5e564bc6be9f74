package journal

import (
	"encoding/json"
	"strconv"
	"time"

	"cpulb/daemon/task"
)

// appendHead appends a Result as JSON, but for what may be large of it: what json.Marshal
// makes of it without the fields that are zero, in about a tenth of the time (BenchmarkHead).
func appendHead(b []byte, r *task.Result) []byte {
	b = append(append(b, `{"task_id":"`...), r.ID.String()...)
	b = append(append(b, `","status":"`...), r.Status.String()...)
	b = append(b, '"')
	if x := r.Error; x != nil {
		b = appendText(b, `,"error":{"type":`, x.Type)
		b = appendText(b, `,"code":`, x.Code)
		b = append(appendInt(b, `,"exit_code":`, x.ExitCode), '}')
	}
	if r.Truncated {
		b = append(b, `,"truncated":true`...)
	}
	b = appendInt(b, `,"attempts":`, r.Attempts)
	if w := r.Worker; w != nil {
		b = appendText(b, `,"worker":{"id":`, w.ID)
		b = appendText(b, `,"executor":`, w.Executor)
		b = appendText(b, `,"pool":`, w.Pool)
		b = appendInt(b, `,"pid":`, w.PID)
		b = appendInt(b, `,"core":`, w.Core)
		b = append(appendInt(b, `,"slot":`, w.Slot), '}')
	}
	b = appendInstant(b, `,"submitted_at":"`, r.SubmittedAt)
	if r.StartedAt != nil {
		b = appendInstant(b, `,"started_at":"`, *r.StartedAt)
	}
	b = appendInstant(b, `,"finished_at":"`, r.FinishedAt)
	b = appendFloat(b, `,"queue_seconds":`, r.QueueSeconds)
	b = appendFloat(b, `,"run_seconds":`, r.RunSeconds)
	b = appendFloat(b, `,"cpu_seconds":`, r.CPUSeconds)
	return append(appendFloat(b, `,"lock_seconds":`, r.LockSeconds), '}')
}

// appendText appends a string, after its name. Most are plain.
func appendText(b []byte, name, text string) []byte {
	b = append(b, name...)
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return append(b, mustJSON(text)...)
		}
	}
	return append(append(append(b, '"'), text...), '"')
}

func appendInt(b []byte, name string, n int) []byte {
	if n == 0 {
		return b
	}
	return strconv.AppendInt(append(b, name...), int64(n), 10)
}

func appendFloat(b []byte, name string, f float64) []byte {
	if f == 0 {
		return b
	}
	return strconv.AppendFloat(append(b, name...), f, 'g', -1, 64)
}

func appendInstant(b []byte, name string, t time.Time) []byte {
	return append(t.AppendFormat(append(b, name...), time.RFC3339Nano), '"')
}

// mustJSON is for what is always JSON: texts.
func mustJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}
