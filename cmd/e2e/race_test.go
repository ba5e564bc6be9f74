package e2e_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	engine "cpulb/daemon"
)

// raceBuilt is the daemon, built with the race detector, one for all tests.
var raceBuilt = sync.OnceValues(func() (string, error) {
	dir, err := programs()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "cpulbd-race")
	cmd := exec.Command("go", "build", "-race", "-buildvcs=false", "-o", path, "cpulb/cmd/cpulbd")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build -race: %w\n%s", err, out)
	}
	return path, nil
})

// raceExit is how a daemon exits in which there was a race.
const raceExit = 66

// A mixed load, for as long as CPULB_SOAK_RACE says: users whose clients leave in the
// middle, workers that are killed, configurations that change, and everybody who reads.
// No two goroutines of the daemon are in each other's way, every task ends, and the
// engine makes no mistake. `make soak-race` runs it at full length.
func TestADaemonUnderAMixedLoadHasNoRaces(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: make test runs it, with a daemon that it builds for that")
	}
	length := 10 * time.Second
	if text := os.Getenv("CPULB_SOAK_RACE"); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	program, err := raceBuilt()
	if err != nil {
		t.Fatal(err)
	}
	m := &mixture{dir: folder(t, 0o755)}
	m.layScripts(t)
	reports := filepath.Join(m.dir, "race")
	m.daemon = startProgram(t, program, []string{fmt.Sprintf("GORACE=log_path=%s exitcode=%d", reports, raceExit)}, m.config(0))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		defer cancel()
		m.lasts(ctx, length)
	}()
	m.load(ctx)
	m.settle()
	log := m.log.String()
	m.log.Reset() // what is wrong is told here
	m.stop()
	files, err := filepath.Glob(reports + ".*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, _ := os.ReadFile(file)
		t.Errorf("the race detector reports:\n%s", text)
	}
	for _, mistake := range engine.Mistakes() {
		for line := range strings.Lines(log) {
			if strings.Contains(line, mistake) {
				t.Errorf("the log tells of a mistake of the engine: %s", line)
			}
		}
	}
	t.Logf("done: %v", m.did)
	if missing := m.missing(); len(missing) > 0 {
		t.Errorf("these were not in the mixture: %q", missing)
	}
}

// mixture is who loads the daemon, and with what.
type mixture struct {
	*daemon
	dir string

	mu  sync.Mutex
	did map[string]int
}

func (m *mixture) count(what string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.did == nil {
		m.did = map[string]int{}
	}
	m.did[what]++
}

// missing returns what has not been done yet.
func (m *mixture) missing() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.DeleteFunc([]string{"http", "stream", "batch", "left", "killed", "reloaded", "read"}, func(what string) bool { return m.did[what] > 0 })
}

// lasts returns after that time, and not before everything has been in the mixture once: a
// slow machine needs longer for that.
func (m *mixture) lasts(ctx context.Context, length time.Duration) {
	rest(ctx, length)
	for hung := time.Now().Add(patience); len(m.missing()) > 0 && ctx.Err() == nil && time.Now().Before(hung); {
		rest(ctx, 10*time.Millisecond)
	}
}

// raceScripts are what tasks run.
var raceScripts = map[string]string{
	"quick":    "def main(p, c):\n    return p\n",
	"sleeps":   "import time\ndef main(p, c):\n    time.sleep(0.02)\n    return p\n",
	"fails":    "def main(p, c):\n    if c.attempt < 2: raise ValueError('the first time')\n",
	"talks":    "def main(p, c):\n    for i in range(20):\n        c.progress(i / 20, 'on')\n        c.log.info('line %d', i)\n        yield i\n",
	"awaits":   "import asyncio\nasync def main(p, c):\n    await asyncio.sleep(0.02)\n    return p\n",
	"spins":    "def main(p, c):\n    while True: pass\n",
	"hogs":     "async def main(p, c):\n    while True: pass\n",
	"dies":     "import os\ndef main(p, c):\n    if c.attempt < 2: os._exit(3)\n",
	"breaks":   "import json, os, sys\ndef main(p, c):\n    for name in list(sys.modules):\n        if name.startswith('cpulb.'): vars(sys.modules[name]).clear()\n",
	"large":    "def main(p, c):\n    print('x' * 5000)\n    return 'y' * 50000\n",
	"__main__": "import sys\nprint(sys.argv)\n",
}

func (m *mixture) layScripts(t *testing.T) {
	t.Helper()
	for name, text := range raceScripts {
		if err := os.WriteFile(m.script(name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func (m *mixture) script(name string) string { return filepath.Join(m.dir, name+".py") }

// config is the nth configuration.
func (m *mixture) config(n int) string {
	text := fmt.Sprintf(`
socket { mode = "0666" }
executor "python" { command = "cpulb-python" }
pool "cpu" {
  executor = "python"
  task_types = ["cpu_bound"]
  workers = %d
  threads = 1
  spare = %d
}
pool "io" {
  executor = "python"
  task_types = ["io_bound"]
  workers = 1
  threads = 4
  async_concurrency = 20
  max_tasks = %d
}
limits {
  cancel_grace = "300ms"
  fence_timeout = "500ms"
}
queue { max_tasks = %d }
results {
  ttl = "2s"
  max = 500
}
schedule "often" {
  cron = %q
  owner = "0"
  script_path = %q
  task_type = "io_bound"
  overlap = %q
}
`, 1+n%2, n%2, 100+100*(n%3), 200+100*(n%2), []string{"* * * * *", "*/2 * * * *"}[n%2], m.script("quick"), []string{"skip", "queue"}[n%2])
	if n%3 == 2 {
		text += "pool \"third\" {\n  executor = \"python\"\n  task_types = [\"io_bound\"]\n  workers = 1\n  threads = 2\n}\n"
	}
	return text
}

// body is a task as a client sends it.
func (m *mixture) body(r *rand.Rand) string {
	kinds := []string{"quick", "quick", "quick", "sleeps", "fails", "talks", "awaits", "awaits", "large"}
	if r.IntN(20) == 0 {
		kinds = []string{"spins", "hogs", "dies", "breaks", "__main__"}
	}
	kind := kinds[r.IntN(len(kinds))]
	extras := []string{"", `,"max_retries":2,"retry_backoff":"20ms"`, `,"delay":"30ms"`, `,"concurrency_key":"one"`, `,"on_worker_lost":"fail"`,
		`,"durable":true`, `,"result_ttl":"100ms"`, `,"expires_at":"` + time.Now().Add(time.Second).Format(time.RFC3339Nano) + `"`,
		fmt.Sprintf(`,"idempotency_key":"key-%d"`, r.IntN(30)), `,"priority":9`}
	function := ""
	if kind == "__main__" {
		function = `,"function":"__main__"`
	}
	return fmt.Sprintf(`{"script_path":%q,"params":[%d],"task_type":%q,"timeout":"2s","labels":{"kind":%q}%s%s}`, m.script(kind), r.IntN(1000),
		[]string{"cpu_bound", "io_bound"}[r.IntN(2)], kind, function, extras[r.IntN(len(extras))])
}

// as returns a client of that user. Who connects is the thread that does.
func (m *mixture) as(uid int) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		if os.Geteuid() != 0 || uid == 0 {
			return (&net.Dialer{}).DialContext(ctx, "unix", m.socket)
		}
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		const keep = ^uintptr(0)
		if _, _, e := syscall.RawSyscall(syscall.SYS_SETRESUID, keep, uintptr(uid), keep); e != 0 {
			return nil, e
		}
		defer syscall.RawSyscall(syscall.SYS_SETRESUID, keep, 0, keep)
		return (&net.Dialer{}).DialContext(ctx, "unix", m.socket)
	}}}
}

// load has everybody go to work until ctx is done.
func (m *mixture) load(ctx context.Context) {
	var all sync.WaitGroup
	goes := func(work func(r *rand.Rand)) {
		all.Go(func() {
			r := rand.New(rand.NewPCG(rand.Uint64(), 1))
			for ctx.Err() == nil {
				work(r)
			}
		})
	}
	uids := []int{0, 12001, 12002}
	if os.Geteuid() != 0 {
		m.t.Log("only root can connect as several users: all are one")
	}
	for _, uid := range uids {
		client := m.as(uid)
		defer client.CloseIdleConnections()
		goes(func(r *rand.Rand) { m.submits(ctx, client, r) })
		goes(func(r *rand.Rand) { m.reads(ctx, client, r) })
	}
	client := m.as(0)
	defer client.CloseIdleConnections()
	goes(func(r *rand.Rand) { m.streams(ctx, r) })
	goes(func(r *rand.Rand) { m.batches(ctx, client, r) })
	goes(func(r *rand.Rand) { m.kills(ctx, r) })
	goes(func(r *rand.Rand) { m.administers(ctx, client, r) })
	all.Go(func() { m.python(ctx) })
	all.Wait()
}

// ask sends a request, and reads the answer; what is wrong with either is no matter here,
// but for an answer that is the daemon's fault.
func (m *mixture) ask(ctx context.Context, client *http.Client, method, path, body string) string {
	req, err := http.NewRequestWithContext(ctx, method, "http://cpulb"+path, strings.NewReader(body))
	if err != nil {
		m.t.Error(err)
		return ""
	}
	resp, err := client.Do(req)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	if resp.StatusCode == http.StatusInternalServerError {
		m.t.Errorf("%s %s: %s", method, path, text)
	}
	return string(text)
}

// hurried ends soon, often before the answer has come.
func hurried(ctx context.Context, r *rand.Rand) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, time.Duration(r.IntN(4000))*time.Microsecond)
}
