// Package cpulbd starts daemons for measurements, each with a configuration and a
// folder of its own.
package cpulbd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"cpulb/internal/owndaemon"
)

// Config is what measurements differ in.
type Config struct {
	// Sync is the journal's.
	Sync string
	// Pool are the lines of the only pool, e.g. "workers = 2".
	Pool string
	// Executor are further lines of the executor, e.g. `preload = ["numpy"]`.
	Executor string
}

// text is the configuration file. Nothing but the journal and the pool is told from the
// default, except for bounds that a million tasks would meet.
func (c Config) text() string {
	return fmt.Sprintf(`queue {
  max_tasks = 2000000
}
results {
  max = 2000000
}
executor "python" {
  command = "cpulb-python"
  %s
}
pool "cpu" {
  executor   = "python"
  task_types = ["cpu_bound"]
  %s
}
journal {
  sync = %q
}
limits {
  watches       = 2000000
  drain_timeout = "1s"
}
`, c.Executor, c.Pool, c.Sync)
}

// Daemon is one that runs.
type Daemon struct {
	PID    int
	Socket string
	// Ready is the time from exec until it says so.
	Ready time.Duration

	own  *owndaemon.Daemon
	dir  string
	http *http.Client
}

// patience is for how long a daemon may take to be ready.
const patience = 20 * time.Second

// Start starts a daemon of the programs in bin, in a new folder in dir, and returns
// once it is ready.
func Start(ctx context.Context, bin, dir string, c Config) (*Daemon, error) {
	home, err := os.MkdirTemp(dir, "cpulbd-")
	if err != nil {
		return nil, err
	}
	config := filepath.Join(home, "config.hcl")
	if err := os.WriteFile(config, []byte(c.text()), 0o600); err != nil {
		return nil, err
	}
	return StartFile(ctx, bin, home, config)
}

// StartFile is Start with a configuration file, in dir, which is the daemon's own.
func StartFile(ctx context.Context, bin, dir, config string) (*Daemon, error) {
	d := &Daemon{Socket: filepath.Join(dir, "s"), dir: dir}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var err error
	d.own, err = owndaemon.Start(ctx, exec.Command(filepath.Join(bin, "cpulbd"), "-private", "-config", config, "-socket", d.Socket,
		"-state-dir", filepath.Join(dir, "state")), &owndaemon.Log{Keep: keptLog})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	d.PID, d.Ready, d.http = d.own.PID(), d.own.Ready, owndaemon.Client(d.Socket)
	return d, nil
}

// keptLog is how many bytes of its log are kept, for when it fails.
const keptLog = 64 << 10

// Stop ends the daemon and removes what it has written.
func (d *Daemon) Stop() error {
	d.http.CloseIdleConnections()
	return errors.Join(d.own.Stop(), os.RemoveAll(d.dir))
}

// Get returns what the daemon answers for a path.
func (d *Daemon) Get(ctx context.Context, path string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://cpulb"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := d.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %.200s", path, resp.Status, text)
	}
	return text, err
}

// Heap is how many bytes are live after a collection.
func (d *Daemon) Heap(ctx context.Context) (float64, error) {
	if _, err := d.Get(ctx, "/debug/pprof/heap?gc=1"); err != nil {
		return 0, err
	}
	text, err := d.Get(ctx, "/metrics")
	if err != nil {
		return 0, err
	}
	found := regexp.MustCompile(`(?m)^go_memstats_alloc_bytes (\S+)$`).FindSubmatch(text)
	if found == nil {
		return 0, errors.New("no go_memstats_alloc_bytes among the metrics")
	}
	return strconv.ParseFloat(string(found[1]), 64)
}
