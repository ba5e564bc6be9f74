package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// takesAllPids starts processes until the kernel refuses them, says so, and takes whatever pid
// becomes free until it may stop.
const takesAllPids = `
import os, subprocess, time
def main(params, context):
    taken = []
    while not os.path.exists(params["stop"]):
        try:
            taken.append(subprocess.Popen(["sleep", "1000"]))
        except OSError:
            open(params["full"], "w").close()
            time.sleep(0.001)
    for p in taken:
        p.kill()
        p.wait()
`

// The daemon is a program in Go, which ends when it can't have a thread. It has some ahead.
func TestTheDaemonGoesOnWhileAScriptHasTakenAllPids(t *testing.T) {
	enter := countedPids(t, 150)
	d := start(t, testConfig)
	enter(d.own.PID())
	for _, w := range d.workers() {
		enter(int(w["pid"].(float64)))
	}
	gates := t.TempDir()
	full, stop := filepath.Join(gates, "full"), filepath.Join(gates, "stop")
	var bomb sync.WaitGroup
	defer bomb.Wait()
	release := sync.OnceFunc(func() {
		if err := os.WriteFile(stop, nil, 0o600); err != nil {
			t.Error(err)
		}
	})
	defer release()
	path := script(t, takesAllPids)
	bomb.Go(func() { // how it ends is its worker's matter, which may need a thread, too
		body := fmt.Sprintf(`{"script_path":%q,"params":{"full":%q,"stop":%q},"task_type":"cpu_bound"}`, path, full, stop)
		if resp, err := d.http.Post("http://cpulb/v1/tasks?wait=10m", "application/json", strings.NewReader(body)); err == nil {
			resp.Body.Close()
		}
	})
	d.until("all pids are taken", func() bool { _, err := os.Stat(full); return err == nil })
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for range 20 {
				resp, err := d.http.Get("http://cpulb/v1/status")
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
			}
		})
	}
	clients.Wait()
	release()
	bomb.Wait()
	one := script(t, "def main(params, context):\n    return 1\n")
	for _, taskType := range []string{"cpu_bound", "io_bound"} {
		if answer := d.run(one, "{}", taskType); answer["status"] != "completed" {
			t.Errorf("afterwards: %v", answer)
		}
	}
}

// countedPids makes a cgroup, of version 1 or 2, in which there are n pids; enter moves a process
// into it.
func countedPids(t *testing.T, n int) (enter func(pid int)) {
	t.Helper()
	for _, root := range []string{"/sys/fs/cgroup/pids", "/sys/fs/cgroup"} {
		dir, err := os.MkdirTemp(root, "cpulb-test-")
		if err != nil {
			continue
		}
		if set(dir, "pids.max", n) != nil {
			os.Remove(dir)
			continue
		}
		t.Cleanup(func() {
			for err := os.Remove(dir); errors.Is(err, unix.EBUSY); err = os.Remove(dir) {
				time.Sleep(time.Millisecond) // the last ones are being waited for
			}
		})
		return func(pid int) {
			if err := set(dir, "cgroup.procs", pid); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Skip("no cgroup with the pids controller can be made here")
	return nil
}

func set(dir, file string, n int) error {
	f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(strconv.Itoa(n))
	return errors.Join(err, f.Close())
}
