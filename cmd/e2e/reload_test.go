package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// reload has the daemon read this configuration, and returns what it logged then
// up to one of two ends.
func (d *daemon) reload(config string) string {
	d.t.Helper()
	if err := os.WriteFile(filepath.Join(filepath.Dir(d.socket), "config.hcl"), []byte(config), 0o644); err != nil {
		d.t.Fatal(err)
	}
	before := len(d.log.String())
	if err := syscall.Kill(d.own.PID(), syscall.SIGHUP); err != nil {
		d.t.Fatal(err)
	}
	log := ""
	d.until("the reload has ended", func() bool {
		d.poolMetric("total_workers") // it answers all the while
		log = d.log.String()[before:]
		return strings.Contains(log, "reloaded in every worker") || strings.Contains(log, "cpulbd: reload: ")
	})
	return log
}

// copied is a copy of the executor in a folder of its own.
func copied(t *testing.T) string {
	t.Helper()
	bin, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "cpulb-python")
	replace(t, path, filepath.Join(bin, "cpulb-python"))
	return path
}

// replace puts a copy of the program into path's place, as an update does.
func replace(t *testing.T, path, program string) {
	t.Helper()
	text, err := os.ReadFile(program)
	if err == nil {
		err = os.WriteFile(path+".new", text, 0o755)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestAnExecutorIsExchangedUnderLoadAndNothingIsLost(t *testing.T) {
	t.Parallel()
	program := copied(t)
	config := strings.Replace(testConfig, `"cpulb-python"`, fmt.Sprintf("%q", program), 1)
	d := start(t, config)
	path := script(t, "import os, time\ndef main(p, c):\n    time.sleep(0.005)\n    return c.attempt\n")
	before := d.workers()
	end := make(chan struct{})
	var all sync.WaitGroup
	for i := range 6 {
		kind := []string{"cpu_bound", "io_bound"}[i%2]
		all.Go(func() {
			for {
				if r := d.run(path, "{}", kind); r["status"] != "completed" || r["data"] != 1.0 {
					t.Errorf("result: %v", r)
				}
				select {
				case <-end:
					return
				default:
				}
			}
		})
	}
	replace(t, program, program)
	if log := d.reload(config); !strings.Contains(log, "reloaded in every worker") {
		t.Errorf("the reload failed:\n%s", log)
	}
	close(end)
	all.Wait()
	for i, w := range before {
		if now := d.readyPID(w["id"].(string)); now == w["pid"] || now == 0 {
			t.Errorf("worker %d: %v, it was %v", i, now, w)
		}
	}
	if n := d.poolMetric("worker_deaths"); n != 0 {
		t.Errorf("%v deaths were counted", n)
	}
}

func TestABadReloadLeavesEverythingAsItWas(t *testing.T) {
	t.Parallel()
	program := copied(t)
	config := strings.Replace(testConfig, `"cpulb-python"`, fmt.Sprintf("%q", program), 1)
	d := start(t, config)
	before := []float64{d.readyPID("cpu-0"), d.readyPID("cpu-1"), d.readyPID("io-0")}
	same := func(why string) {
		t.Helper()
		if after := []float64{d.readyPID("cpu-0"), d.readyPID("cpu-1"), d.readyPID("io-0")}; fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("%s: the workers are %v, they were %v", why, after, before)
		}
		if r := d.run(script(t, doubles), `{"value":1}`, "cpu_bound"); r["status"] != "completed" {
			t.Errorf("%s: %v", why, r)
		}
	}
	for _, c := range []struct{ why, config, says string }{
		{"unknown key", strings.Replace(config, "threads = 1", "thraeds = 1", 1), `unknown key \"thraeds\" in pool`},
		{"what can't change", strings.Replace(config, `"64KiB"`, `"65KiB"`, 1) + "log { format = \"json\" }\n", "limits.body_size, log.format"},
		{"journal", config + "journal { sync = \"off\" }\n", "journal.sync"},
		{"no such program", strings.Replace(config, program, "/nonexistent/executor", 1), "/nonexistent/executor"},
		{"no executor", strings.Replace(config, program, "/bin/true", 1), "not an executor"},
		{"no such core", strings.Replace(config, "pin = true", "pin = true\n  cores = \"4095\"", 1), "4095"},
	} {
		log := d.reload(c.config)
		if !strings.Contains(log, "the configuration was not reloaded") || !strings.Contains(log, c.says) {
			t.Errorf("%s: the log does not say %q:\n%s", c.why, c.says, log)
		}
		same(c.why)
	}
	if log := d.reload(config); !strings.Contains(log, "reloaded in every worker") {
		t.Errorf("the old configuration: %s", log)
	}
	same("the same configuration")
}
