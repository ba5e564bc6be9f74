package adversary_test

import (
	"fmt"
	"io"
	"net"
	"strings"
)

// most is limits.body_size of the daemons here.
const most = 16 << 20

// bodyAttacks have the daemon hold what it has not admitted.
func bodyAttacks() []attack {
	unfinished := func(f *foe) {
		body := `{"script_path":"/x","params":"` + strings.Repeat("x", most-4096)
		for range 30 {
			go f.say(request("POST", "/v1/tasks", fmt.Sprintf("Content-Length: %d\r\n", most), body))
		}
	}
	return []attack{
		{name: "unfinished bodies", run: unfinished},
		{name: "unfinished bodies of one who may not submit", uid: stranger, run: unfinished},
		{name: "unfinished bodies in chunks", run: func(f *foe) {
			chunk := fmt.Sprintf("%x\r\n%s\r\n", 1<<20, strings.Repeat(" ", 1<<20))
			for range 30 {
				go func() {
					if c := f.say(request("POST", "/v1/batches", "Transfer-Encoding: chunked\r\n", "")); c != nil {
						for i := 0; i < 15 && !f.over(); i++ {
							_, _ = io.WriteString(c, chunk)
						}
					}
				}()
			}
		}},
		{name: "bodies announced over the limit", run: func(f *foe) {
			f.each(4, func() {
				f.ask(request("POST", "/v1/tasks", "Content-Length: 99999999999\r\nExpect: 100-continue\r\n", strings.Repeat("x", 1<<20)))
			})
		}},
		{name: "batches of lines of two bytes", run: func(f *foe) {
			body := strings.Repeat("1\n", most/2)
			f.each(3, func() { f.ask(sized("POST", "/v1/batches", body)) })
		}},
		{name: "batches of empty objects", run: func(f *foe) {
			body := `{"tasks":[{}` + strings.Repeat(",{}", most/3-10) + `]}`
			f.each(3, func() { f.ask(sized("POST", "/v1/batches", body)) })
		}},
		{name: "batches of many small tasks", run: func(f *foe) {
			body := strings.Repeat(f.task("echo.py", `,"delay":"1h"`)+"\n", 100_000)
			f.each(2, func() { f.ask(sized("POST", "/v1/batches", body)) })
		}},
		{name: "batches of scripts of long names that are not there, unread", run: func(f *foe) {
			line := `{"script_path":"/none/` + strings.Repeat("\U000e0001", 1000) + `"}` + "\n"
			body := sized("POST", "/v1/batches", strings.Repeat(line, (most-4096)/len(line)))
			f.each(60, func() {
				if c := f.say(body); c != nil {
					<-f.ctx.Done()
				}
			})
		}},
		{name: "params of great depth and many keys", run: func(f *foe) {
			deep := f.task("echo.py", `,"params":`+strings.Repeat("[", most/4)+strings.Repeat("]", most/4))
			var keys strings.Builder
			for i := range 700_000 {
				fmt.Fprintf(&keys, `,"k%d":%d`, i, i)
			}
			wide := f.task("echo.py", keys.String())
			f.each(2, func() { f.ask(sized("POST", "/v1/tasks", deep)); f.ask(sized("POST", "/v1/tasks", wide)) })
		}},
		{name: "many long bodies that are wrong at their ends", run: func(f *foe) {
			body := f.task("echo.py", `,"params":[`+strings.Repeat("[],", most/96)+`1],"priority":77`)
			f.each(24, func() { f.ask(sized("POST", "/v1/tasks", body)) })
		}},
		{name: "a long task again and again, in other words", run: func(f *foe) {
			deep := strings.Repeat(strings.Repeat(`{"a":`, 900)+"1"+strings.Repeat("}", 900)+",", most/32/5400)
			body := func(blank string) string {
				return sized("POST", "/v1/tasks", f.task("echo.py", `,"task_id":"01890000-0000-7000-8000-00000000000a","delay":"1h","params":[`+blank+deep+`1]`))
			}
			f.ask(body(""))
			again := body(" ")
			f.each(24, func() { f.ask(again) })
		}},
		{name: "streams of bad lines, read", run: func(f *foe) {
			lines := strings.Repeat(`{"op":"submit","task":{"script_path":"/x","priority":77,"params":[`+strings.Repeat("[],", 30)+"1]}}\n", 2000)
			f.each(24, func() {
				if c := f.stream(); c != nil {
					go func() { _, _ = io.Copy(io.Discard, c) }()
					f.pourOn(c, lines)
				}
			})
		}},
		{name: "streams of bad lines, unread", run: func(f *foe) {
			lines := strings.Repeat("{}\n", 100_000)
			f.each(8, func() { f.pour(lines) })
		}},
		{name: "streams of cancels of unknown tasks, unread", run: func(f *foe) {
			lines := strings.Repeat(`{"op":"cancel","task_id":"01890000-0000-7000-8000-000000000000"}`+"\n", 10_000)
			f.each(8, func() { f.pour(lines) })
		}},
		{name: "unfinished lines of streams", run: func(f *foe) {
			line := strings.Repeat(" ", most-4096)
			f.each(30, func() {
				if c := f.stream(); c != nil {
					_, _ = io.WriteString(c, line)
					<-f.ctx.Done()
				}
			})
		}},
	}
}

// pour sends text on a stream, again and again, and reads nothing, until it is cut off.
func (f *foe) pour(text string) {
	c := f.stream()
	if c == nil {
		return
	}
	f.pourOn(c, text)
}

func (f *foe) pourOn(c net.Conn, text string) {
	defer c.Close()
	for !f.over() {
		if _, err := io.WriteString(c, text); err != nil {
			return
		}
	}
}
