package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func (m *mixture) submits(ctx context.Context, client *http.Client, r *rand.Rand) {
	path := []string{"/v1/tasks", "/v1/tasks?wait=1s", "/v1/tasks?wait=30s"}[r.IntN(3)]
	if r.IntN(3) == 0 {
		hurry, cancel := hurried(ctx, r)
		defer cancel()
		m.ask(hurry, client, "POST", path, m.body(r))
		m.count("left")
		return
	}
	answer := m.ask(ctx, client, "POST", path, m.body(r))
	m.count("http")
	id := field(answer, "task_id")
	if id == "" {
		return
	}
	switch r.IntN(8) {
	case 0:
		m.ask(ctx, client, "DELETE", "/v1/tasks/"+id, "")
	case 1:
		m.ask(ctx, client, "POST", "/v1/tasks/"+id+"/rerun", "")
	case 2:
		hurry, cancel := hurried(ctx, r)
		defer cancel()
		m.ask(hurry, client, "GET", "/v1/tasks/"+id+"/events", "")
	case 3:
		m.ask(ctx, client, "GET", "/v1/tasks/"+id+"/result?timeout=1s", "")
	}
}

// field finds a text in JSON without looking any closer.
func field(text, name string) string {
	_, after, found := strings.Cut(text, `"`+name+`":"`)
	if !found {
		return ""
	}
	value, _, _ := strings.Cut(after, `"`)
	return value
}

func (m *mixture) reads(ctx context.Context, client *http.Client, r *rand.Rand) {
	paths := []string{"/v1/status", "/v1/workers", "/v1/executors", "/v1/schedules", "/metrics", "/healthz", "/readyz",
		"/v1/tasks?limit=50", "/v1/tasks?status=running", "/v1/tasks?label=kind:quick", "/v1/workers/io-0/stacks"}
	m.ask(ctx, client, "GET", paths[r.IntN(len(paths))], "")
	m.count("read")
	rest(ctx, 5*time.Millisecond)
}

// rest leaves the machine to others for a while.
func rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// streams submits on one connection, and leaves with some unanswered.
func (m *mixture) streams(ctx context.Context, r *rand.Rand) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", m.socket)
	if err != nil {
		return
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	fmt.Fprint(conn, "POST /v1/stream HTTP/1.1\r\nHost: cpulb\r\nConnection: Upgrade\r\nUpgrade: cpulb\r\n\r\n")
	head := make([]byte, 4096)
	if n, err := conn.Read(head); err != nil || !strings.HasPrefix(string(head[:n]), "HTTP/1.1 101") {
		return
	}
	go io.Copy(io.Discard, conn) // until it is closed
	for range r.IntN(60) {
		if _, err := fmt.Fprintf(conn, `{"submit":%s}`+"\n", m.body(r)); err != nil {
			return
		}
		m.count("stream")
		rest(ctx, 3*time.Millisecond)
	}
	rest(ctx, time.Duration(r.IntN(50))*time.Millisecond)
}

// batches sends some, and follows the results for a while.
func (m *mixture) batches(ctx context.Context, client *http.Client, r *rand.Rand) {
	var lines strings.Builder
	for range 1 + r.IntN(30) {
		lines.WriteString(m.body(r) + "\n")
	}
	answer := m.ask(ctx, client, "POST", "/v1/batches", lines.String())
	m.count("batch")
	if id := field(answer, "batch_id"); id != "" {
		m.ask(ctx, client, "GET", "/v1/batches/"+id, "")
		follow, cancel := context.WithTimeout(ctx, time.Duration(r.IntN(1000))*time.Millisecond)
		defer cancel()
		m.ask(follow, client, "GET", "/v1/batches/"+id+"/results", "")
	}
}

// kills ends a worker.
func (m *mixture) kills(ctx context.Context, r *rand.Rand) {
	rest(ctx, time.Duration(200+r.IntN(800))*time.Millisecond)
	var pids []int
	for _, part := range strings.Split(m.ask(ctx, m.http, "GET", "/v1/workers", ""), `"pid":`)[1:] {
		pid := 0
		if _, err := fmt.Sscanf(part, "%d", &pid); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	if len(pids) > 0 {
		_ = syscall.Kill(pids[r.IntN(len(pids))], syscall.SIGKILL) // or it has ended
		m.count("killed")
	}
}

// administers changes what can be changed while the daemon runs.
func (m *mixture) administers(ctx context.Context, client *http.Client, r *rand.Rand) {
	rest(ctx, time.Duration(300+r.IntN(700))*time.Millisecond)
	switch r.IntN(4) {
	case 0:
		m.ask(ctx, client, "POST", "/v1/workers/io-0/restart", "")
	case 1:
		m.ask(ctx, client, "DELETE", "/v1/tasks?label=kind:sleeps", "")
	default:
		path := filepath.Join(filepath.Dir(m.socket), "config.hcl")
		if err := os.WriteFile(path, []byte(m.config(r.IntN(6))), 0o644); err != nil {
			m.t.Error(err)
		}
		m.ask(ctx, client, "POST", "/v1/reload", "")
		m.count("reloaded")
	}
}

const pythonLoad = `
import sys
from cpu_load_balancer import CPULoadBalancerError, Engine, Task
with Engine(sys.argv[1]) as engine:
    while True:
        try:
            ids = [engine.submit_task(Task.create(sys.argv[2], {"n": n})) for n in range(20)]
            for task_id in ids[:10]:
                engine.get_result(task_id, timeout=5.0)
        except CPULoadBalancerError as error:
            print(error)
`

// python is the Python client, as a user of its own where that can be.
func (m *mixture) python(ctx context.Context) {
	library, err := filepath.Abs("../../ipc/python")
	if err != nil {
		m.t.Error(err)
		return
	}
	if _, err := os.Stat(library); err != nil {
		m.t.Error(err)
	}
	c := exec.CommandContext(ctx, "/usr/bin/python3", "-c", pythonLoad, m.socket, m.script("quick"))
	c.Env = append(os.Environ(), "PYTHONPATH="+library, "PYTHONDONTWRITEBYTECODE=1")
	out, err := c.CombinedOutput()
	if exit := (*exec.ExitError)(nil); ctx.Err() == nil || !errors.As(err, &exit) {
		m.t.Errorf("the Python client: %v\n%s", err, out)
	}
}

// settle waits until every task has ended.
func (m *mixture) settle() {
	for _, status := range []string{"pending", "queued", "running"} {
		m.until("every task has ended", func() bool {
			text := m.ask(m.t.Context(), m.http, "GET", "/v1/tasks?limit=1000&status="+status, "")
			// The schedule goes on: what is its own is not waited for.
			return strings.Count(text, `"task_id"`) == strings.Count(text, `"schedule":"often"`) && text != ""
		})
	}
}
