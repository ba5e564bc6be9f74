package ipc_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/task"
	"cpulb/ipc"
	"cpulb/ipc/ipctest"
)

// instant is an engine that accepts tasks and ends them at once, and does nothing else.
type instant struct{ ipc.Engine }

// SubmitAll implements ipc.Engine.
func (instant) SubmitAll(_ context.Context, _ access.Identity, all []api.Submission) {
	out := all[0].Watcher.Outlet()
	out.Cork()
	defer out.Uncork()
	for _, s := range all {
		now := time.Now()
		s.Answer(task.View{ID: s.Task.ID, Status: task.Queued}, nil)
		s.Watcher.Hear(&task.Event{Kind: task.EventResult, ID: s.Task.ID, Cursor: task.Cursor{Attempt: 1, Seq: 2}, Result: &task.Result{
			ID: s.Task.ID, Status: task.Completed, Data: []byte("null"), Attempts: 1, SubmittedAt: now, StartedAt: &now, FinishedAt: now,
			QueueSeconds: 0.000123, RunSeconds: 4.5e-6, CPUSeconds: 4e-6,
			Worker: &task.Worker{ID: "cpu-0", Executor: "python", Pool: "cpu", PID: 4242, Core: 1},
		}})
		s.Watcher.PassOn()
	}
}

// One operation is one task on a stream, by a client that sends anew as many lines as
// results have come.
func BenchmarkStream(b *testing.B) {
	engine := instant{ipctest.New()}
	for _, depth := range []int{1, 64, 1000} {
		b.Run(fmt.Sprintf("depth=%d", depth), func(b *testing.B) {
			b.ReportAllocs()
			c := newLoad(b, engine)
			c.sends(min(depth, b.N))
			for left := b.N; left > 0; {
				n := c.results()
				left -= n
				c.sends(min(n, max(0, left-depth+n)))
			}
		})
	}
}

// load is a client that takes little time.
type load struct {
	b    *testing.B
	conn net.Conn
	text []byte // of lines
	read []byte
	last task.ID
	// lines counts those that were not a pair yet.
	lines int
}

func newLoad(b *testing.B, engine ipc.Engine) *load {
	b.Helper()
	listener, socket := ipctest.Listen(b)
	server := ipc.NewServer(engine, ipc.Options{BodyBytes: 1 << 20})
	go func() { _ = server.Serve(listener) }() // ended by Shutdown
	conn, err := net.Dial("unix", socket)
	if err == nil {
		_, err = io.WriteString(conn, upgrade)
	}
	l := &load{b: b, conn: conn, read: make([]byte, 256<<10), last: task.NewID()}
	for err == nil && !bytes.HasSuffix(l.text, []byte("\r\n\r\n")) {
		var n int
		n, err = conn.Read(l.read[:1])
		l.text = append(l.text, l.read[:n]...)
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		conn.Close()
		_ = server.Shutdown(context.Background())
	})
	return l
}

func (l *load) sends(n int) {
	if n == 0 {
		return
	}
	l.text = l.text[:0]
	for range n {
		for i := len(l.last) - 1; ; i-- {
			if l.last[i]++; l.last[i] != 0 {
				break
			}
		}
		id, _ := l.last.MarshalText()
		l.text = append(append(append(l.text, `{"op":"submit","task":{"task_id":"`...), id...),
			`","script_path":"/srv/scripts/noop.py","function":"main","params":{},"task_type":"cpu_bound","priority":5}}`+"\n"...)
	}
	if _, err := l.conn.Write(l.text); err != nil {
		l.b.Fatal(err)
	}
}

// results reads what is there, and returns of how many tasks that was the end. There are two
// lines of each.
func (l *load) results() int {
	n, err := l.conn.Read(l.read)
	if err != nil {
		l.b.Fatal(err)
	}
	l.lines += bytes.Count(l.read[:n], []byte("\n"))
	ended := l.lines / 2
	l.lines %= 2
	return ended
}
