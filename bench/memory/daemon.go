package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cpulb/bench/cpulbd"
	"cpulb/daemon/task"
	"cpulb/ipc/client"
)

// daemon is one of our own.
type daemon struct {
	*cpulbd.Daemon
	dir     string
	started time.Time
	client  *client.Client
}

func (s *settings) start() (*daemon, error) {
	dir, err := os.MkdirTemp("", "cpulb-memory")
	if err != nil {
		return nil, err
	}
	base, err := os.ReadFile("bench/memory/config.hcl")
	if err != nil {
		return nil, err
	}
	for name, text := range map[string]string{
		"sleeper.py": "import time\ndef main(params, context):\n    time.sleep(3600)\n",
		"noop.py":    "def main(params, context):\n    return None\n",
		"config.hcl": string(base) + fmt.Sprintf("results {\n  max = %d\n}\njournal {\n  sync = %q\n}\n", s.kept, s.journal),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	d := &daemon{dir: dir, started: time.Now()}
	if d.Daemon, err = cpulbd.StartFile(context.Background(), s.bin, dir, filepath.Join(dir, "config.hcl")); err != nil {
		return nil, err
	}
	d.client = client.New(d.Socket)
	return d, nil
}

func (d *daemon) get(path string) ([]byte, error) { return d.Get(context.Background(), path) }

func (d *daemon) task(script string, priority int) *task.Task {
	return &task.Task{ID: task.NewID(), ScriptPath: filepath.Join(d.dir, script), Function: task.DefaultFunction, Params: []byte("{}"),
		Type: task.CPUBound, Priority: priority}
}

func (d *daemon) tasks(script string, n int) []*task.Task {
	all := make([]*task.Task, n)
	for i := range all {
		all[i] = d.task(script, task.DefaultPriority)
	}
	return all
}

// usage is what the daemon takes, in bytes.
type usage struct{ rss, pss, heap int64 }

// settled prints what the daemon takes beyond base, now and after a rest.
func (d *daemon) settled(what string, rest time.Duration, base usage) (usage, error) {
	now, err := d.resident()
	if err != nil {
		return now, err
	}
	fmt.Printf("%-50s now:    %s\n", what, now.beyond(base))
	time.Sleep(rest)
	if now, err = d.resident(); err != nil {
		return now, err
	}
	// Only now: this collects what is left.
	now.heap, err = d.live()
	fmt.Printf("%-50s rested: %s\n", what, now.beyond(base))
	return now, err
}

func (u usage) beyond(base usage) string {
	const mb = 1e6
	text := fmt.Sprintf("RSS %+.1f MB, PSS %+.1f MB", float64(u.rss-base.rss)/mb, float64(u.pss-base.pss)/mb)
	if u.heap != 0 {
		text += fmt.Sprintf(", live heap %+.1f MB", float64(u.heap-base.heap)/mb)
	}
	return text
}

// resident reads what the kernel counts.
func (d *daemon) resident() (u usage, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", d.PID))
	for line := range strings.Lines(string(text)) {
		var kib int64
		switch name, value, _ := strings.Cut(line, ":"); name {
		case "Rss":
			_, err = fmt.Sscanf(value, "%d kB", &kib)
			u.rss = kib << 10
		case "Pss":
			_, err = fmt.Sscanf(value, "%d kB", &kib)
			u.pss = kib << 10
		}
	}
	return u, err
}

// live is what a collection leaves on Go's heap.
func (d *daemon) live() (bytes int64, err error) {
	stats, err := d.goStats("/debug/pprof/heap?gc=1&debug=1")
	return int64(stats["HeapAlloc"]), err
}

// goStats reads Go's own figures, which stand at the end of a heap profile.
func (d *daemon) goStats(path string) (map[string]float64, error) {
	text, err := d.get(path)
	stats := map[string]float64{}
	for line := range bytes.Lines(text) {
		var name string
		var value float64
		if _, err := fmt.Sscanf(string(line), "# %s = %g", &name, &value); err == nil {
			stats[name] = value
		}
	}
	return stats, err
}

// profile writes a heap profile.
func (d *daemon) profile(folder, name string) error {
	if folder == "" {
		return nil
	}
	profile, err := d.get("/debug/pprof/heap?gc=1")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, name+".pb.gz"), profile, 0o644)
}
