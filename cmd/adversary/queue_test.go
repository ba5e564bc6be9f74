package adversary_test

import (
	"fmt"
	"strings"
	"sync/atomic"
)

// blocking is in the names of the attacks on a queue with the policy "block".
const blocking = "blocked: "

// queueAttacks fill the queue.
func queueAttacks() []attack {
	return []attack{
		{name: "a flood of tasks", run: func(f *foe) { f.flood(4, "echo.py", "") }},
		{name: "a flood of urgent tasks", run: func(f *foe) { f.flood(4, "echo.py", `,"priority":9`) }},
		{name: "a flood of tasks that wait for their time", run: func(f *foe) { f.flood(4, "echo.py", `,"delay":"1h","result_ttl":"8760h"`) }},
		{name: "large params", run: func(f *foe) {
			f.flood(2, "echo.py", `,"delay":"1h","params":"`+strings.Repeat("x", 1<<20)+`"`)
		}},
		{name: "large labels", run: func(f *foe) {
			var labels []string
			for i := range 16 {
				labels = append(labels, fmt.Sprintf(`"%d%s":"%s"`, i, strings.Repeat("k", 40), strings.Repeat("v", 200)))
			}
			f.flood(2, "echo.py", `,"delay":"1h","labels":{`+strings.Join(labels, ",")+`}`)
		}},
		{name: "enormous labels", run: func(f *foe) { f.flood(2, "echo.py", `,"delay":"1h","labels":{"a":"`+strings.Repeat("v", 1<<20)+`"}`) }},
		{name: "large sources", run: func(f *foe) {
			task := fmt.Sprintf(`{"op":"submit","task":{"source":"def main(p): return p\n#%s","delay":"1h"}}`, strings.Repeat("x", 1<<20)) + "\n"
			f.each(2, func() { f.pour(task) })
		}},
		{name: "keys that make tasks the same", run: func(f *foe) {
			var n atomic.Int64
			f.each(4, func() {
				var lines strings.Builder
				for range 1000 {
					lines.WriteString(f.task("echo.py", fmt.Sprintf(`,"result_ttl":"8760h","idempotency_key":"%d%s"`, n.Add(1), strings.Repeat("k", 200))) + "\n")
				}
				f.ask(sized("POST", "/v1/batches", lines.String()))
			})
		}},
		{name: "durations that overflow", run: func(f *foe) {
			for _, field := range []string{"timeout", "delay", "retry_backoff", "result_ttl"} {
				f.flood(1, "echo.py", fmt.Sprintf(`,%q:"2562047h47m16.854775807s"`, field))
			}
		}},
		{name: "a concurrency key that is held", run: func(f *foe) {
			f.flood(1, "sleeps.py", `,"task_type":"io_bound","concurrency_key":"shared"`)
		}},
		{name: "many concurrency keys", run: func(f *foe) {
			var n atomic.Int64
			f.each(2, func() {
				var lines strings.Builder
				for range 1000 {
					lines.WriteString(f.task("echo.py", fmt.Sprintf(`,"concurrency_key":"%d%s"`, n.Add(1), strings.Repeat("k", 100))) + "\n")
				}
				f.ask(sized("POST", "/v1/batches", lines.String()))
			})
		}},
		{name: "hour-long tasks in all slots", run: func(f *foe) {
			f.flood(1, "sleeps.py", `,"task_type":"cpu_bound"`)
			f.flood(1, "sleeps.py", `,"task_type":"io_bound"`)
		}},
		{name: "hour-long loops in all slots", run: func(f *foe) {
			f.flood(1, "loops.py", `,"task_type":"cpu_bound"`)
		}},
		{name: "submissions that are cancelled at once", run: func(f *foe) {
			f.each(8, func() {
				_, answer := f.ask(sized("POST", "/v1/tasks", f.task("sleeps.py", "")))
				f.ask(request("DELETE", "/v1/tasks/"+idIn(answer, "task_id"), "", ""))
			})
		}},
		{name: "tasks that fail and are tried again without end", run: func(f *foe) {
			f.flood(2, "fails.py", `,"max_retries":100,"retry_backoff":"1ms"`)
		}},
	}
}

// blockAttacks fill a queue where submissions wait for room.
func blockAttacks() []attack {
	large := `,"delay":"1h","params":"` + strings.Repeat("x", 1<<20) + `"`
	return []attack{
		{name: blocking + "submissions of clients that have gone", run: func(f *foe) {
			f.flood(1, "echo.py", large)
			f.each(16, func() {
				if c := f.dial(); c != nil {
					_, _ = c.Write([]byte(sized("POST", "/v1/tasks", f.task("echo.py", large))))
					c.Close()
				}
			})
		}},
		{name: blocking + "submissions of clients that wait", run: func(f *foe) {
			f.flood(1, "echo.py", large)
			f.each(1000, func() { f.ask(sized("POST", "/v1/tasks", f.task("echo.py", large))) })
		}},
		{name: blocking + "batches of clients that wait", run: func(f *foe) {
			batch := strings.Repeat(f.task("echo.py", `,"delay":"1h"`)+"\n", 20_000)
			f.each(16, func() { f.ask(sized("POST", "/v1/batches", batch)) })
		}},
		{name: blocking + "streams", run: func(f *foe) { f.flood(30, "echo.py", large) }},
	}
}

// flood sends a task on n streams as quickly as it is taken, and reads nothing but what
// it must not to be cut off.
func (f *foe) flood(n int, script, more string) {
	line := strings.Replace(f.submitted(script, more), `"op"`, `"ack":false,"op"`, 1)
	lines := strings.Repeat(line, max(1, min(1000, 1<<20/len(line))))
	f.each(n, func() {
		c := f.stream()
		if c == nil {
			return
		}
		go func() {
			for buf := make([]byte, 64<<10); ; {
				if _, err := c.Read(buf); err != nil {
					return
				}
			}
		}()
		f.pourOn(c, lines)
	})
}
