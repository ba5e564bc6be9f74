package adversary_test

import (
	"fmt"
	"strings"
	"time"
)

// readerAttacks ask for much and do not take it, or ask without end.
func readerAttacks() []attack {
	return []attack{
		{name: "unread lists", run: func(f *foe) {
			f.haveTasks(5000, strings.Repeat("x", 1000))
			for range 200 {
				go f.say(request("GET", "/v1/tasks?limit=1000", "", ""))
			}
		}},
		{name: "unread results", run: func(f *foe) {
			_, answer := f.ask(sized("POST", "/v1/tasks?wait=30s", f.task("large.py", fmt.Sprintf(`,"params":%d,"task_type":"io_bound"`, 8<<20))))
			id := idIn(answer, "task_id")
			for range 300 {
				go f.say(request("GET", "/v1/tasks/"+id+"/result", "", ""))
			}
		}},
		{name: "unread results of a batch", run: func(f *foe) {
			line := f.task("large.py", fmt.Sprintf(`,"params":%d,"task_type":"io_bound"`, 1<<20)) + "\n"
			_, answer := f.ask(sized("POST", "/v1/batches", strings.Repeat(line, 20)))
			id := idIn(answer, "batch_id")
			for range 300 {
				go f.say(request("GET", "/v1/batches/"+id+"/results", "", ""))
			}
		}},
		{name: "1500 readers of the events of a chatty task", run: func(f *foe) {
			id := f.chatty()
			for range 1500 {
				go f.say(request("GET", "/v1/tasks/"+id+"/events", "", ""))
			}
		}},
		{name: "streams that watch chatty tasks, unread", run: func(f *foe) {
			line := strings.Replace(f.submitted("chatty.py", `,"task_type":"io_bound"`), "{", `{"events":true,`, 1)
			f.each(30, func() {
				if c := f.stream(); c != nil {
					_, _ = c.Write([]byte(strings.Repeat(line, 3)))
					<-f.ctx.Done()
				}
			})
		}},
		{name: "what everybody may ask, at full speed", run: func(f *foe) {
			for _, path := range []string{"/v1/status", "/metrics", "/v1/workers", "/v1/tasks?label=a=b", "/v1/schedules"} {
				f.each(4, func() { f.ask(request("GET", path, "", "")) })
			}
		}},
		{name: "waits for results without end", run: func(f *foe) {
			_, answer := f.ask(sized("POST", "/v1/tasks", f.task("echo.py", `,"delay":"1h"`)))
			id := idIn(answer, "task_id")
			for range 1500 {
				go f.say(request("GET", "/v1/tasks/"+id+"/result?timeout=1h", "", ""))
			}
		}},
		{name: "resends of one watched task", run: func(f *foe) {
			_, answer := f.ask(sized("POST", "/v1/tasks", f.task("echo.py", `,"delay":"1h"`)))
			lines := strings.Repeat(f.submitted("echo.py", `,"delay":"1h","task_id":"`+idIn(answer, "task_id")+`"`), 1000)
			f.each(4, func() { f.pour(lines) })
		}},
		{name: "resends of one watched task on connections that end", run: func(f *foe) {
			_, answer := f.ask(sized("POST", "/v1/tasks", f.task("echo.py", `,"delay":"1h"`)))
			lines := strings.Repeat(f.submitted("echo.py", `,"delay":"1h","task_id":"`+idIn(answer, "task_id")+`"`), 100)
			f.each(8, func() {
				if c := f.stream(); c != nil {
					_, _ = c.Write([]byte(lines))
					f.rest(10 * time.Millisecond)
					c.Close()
				}
			})
		}},
	}
}

// haveTasks has n tasks known that wait for their time.
func (f *foe) haveTasks(n int, label string) {
	line := f.task("echo.py", fmt.Sprintf(`,"delay":"1h","labels":{"a":%q}`, label)) + "\n"
	f.ask(sized("POST", "/v1/batches", strings.Repeat(line, n)))
}

// chatty returns the id of a task that reports progress without end.
func (f *foe) chatty() string {
	_, answer := f.ask(sized("POST", "/v1/tasks", f.task("chatty.py", `,"task_type":"io_bound"`)))
	return idIn(answer, "task_id")
}
