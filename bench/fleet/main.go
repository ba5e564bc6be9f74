// Command fleet measures, through a real daemon, what balancing is for: how much
// faster two workers are than one, how near the end of a set of tasks comes to the
// best there can be, and what long tasks cost short ones. All figures are ratios
// within one run.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"cpulb/daemon/task"
	"cpulb/ipc/client"
)

// Scripts of the measurements: both are told how long, in seconds.
const (
	computes = `import time
def main(params, context):
    end = time.thread_time() + params
    n = 0
    while time.thread_time() < end:
        n += 1
    return n
`
	sleeps = `import time
def main(params, context):
    time.sleep(params)
`
	counts = `def main(params, context):
    n = 0
    for i in range(params):
        n += i * i
    return n
`
)

// config is for one pool, whose own settings are filled in.
const config = `executor "python" {
  command = "cpulb-python"
}
pool "p" {
  executor = "python"
  task_types = ["cpu_bound"]
%s
}
journal {
  sync = "off"
}
`

func main() {
	bin := flag.String("bin", "bin", "`folder` of the built programs")
	turns := flag.Int("turns", 3, "how often each is measured")
	flag.Parse()
	for range *turns {
		for _, measure := range []func(string) error{cores, skewed, sleepers, stragglers} {
			if err := measure(*bin); err != nil {
				log.Fatal(err)
			}
		}
	}
}

// daemon is one of our own, with a stream to it.
type daemon struct {
	cmd    *exec.Cmd
	dir    string
	stream *client.Stream
}

func start(bin, pool string) (*daemon, error) {
	dir, err := os.MkdirTemp("", "cpulb-fleet")
	if err != nil {
		return nil, err
	}
	for name, text := range map[string]string{"computes.py": computes, "sleeps.py": sleeps, "counts.py": counts,
		"config.hcl": fmt.Sprintf(config, pool)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	d := &daemon{dir: dir}
	socket := filepath.Join(dir, "s")
	d.cmd = exec.Command(filepath.Join(bin, "cpulbd"), "-private", "-config", filepath.Join(dir, "config.hcl"), "-socket", socket)
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	c := client.New(socket)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := c.Status(context.Background()); err == nil {
			break
		}
		if time.Now().After(deadline) {
			return nil, errors.Join(errors.New("the daemon is not ready after 20 s"), d.stop())
		}
	}
	d.stream, err = c.OpenStream(context.Background())
	return d, err
}

func (d *daemon) stop() error {
	if d.stream != nil {
		d.stream.Close()
	}
	return errors.Join(d.cmd.Process.Signal(syscall.SIGTERM), d.cmd.Wait(), os.RemoveAll(d.dir))
}

// do runs one task to its end.
func (d *daemon) do(script string, params any) (*task.Result, error) {
	text, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	r, err := d.stream.Do(context.Background(), &task.Task{
		ID:         task.NewID(),
		ScriptPath: filepath.Join(d.dir, script),
		Function:   task.DefaultFunction,
		Params:     text,
		Type:       task.CPUBound,
		Priority:   task.DefaultPriority,
	})
	if err == nil && r.Status != task.Completed {
		err = fmt.Errorf("%s %v: %s %+v", script, params, r.Status, r.Error)
	}
	return r, err
}

// all runs tasks at a time and returns how long that took.
func (d *daemon) all(script string, params []any) (time.Duration, error) {
	errs := make([]error, len(params))
	began := time.Now()
	var under sync.WaitGroup
	for i, p := range params {
		under.Go(func() { _, errs[i] = d.do(script, p) })
	}
	under.Wait()
	return time.Since(began), errors.Join(errs...)
}

func repeat(n int, p any) []any { return slices.Repeat([]any{p}, n) }

// with runs f on a daemon with this pool, after each worker has loaded the scripts.
func with(bin, pool string, f func(d *daemon) error) error {
	d, err := start(bin, pool)
	if err != nil {
		return err
	}
	_, err = d.all("sleeps.py", repeat(128, 0.01))
	if err == nil {
		_, err = d.all("counts.py", repeat(64, 1000))
	}
	if err == nil {
		_, err = d.all("computes.py", repeat(16, 0.01))
	}
	if err == nil {
		err = f(d)
	}
	return errors.Join(err, d.stop())
}

// cores compares one worker with two on the same work.
func cores(bin string) error {
	work := repeat(40, 1_500_000)
	var one, two time.Duration
	err := with(bin, "  workers = 1", func(d *daemon) (err error) { one, err = d.all("counts.py", work); return err })
	if err == nil {
		err = with(bin, "  workers = 2", func(d *daemon) (err error) { two, err = d.all("counts.py", work); return err })
	}
	if err == nil {
		fmt.Printf("CPU-bound work: one worker %s, two %s: %.2f of the time\n",
			one.Round(time.Millisecond), two.Round(time.Millisecond), two.Seconds()/one.Seconds())
	}
	return err
}

// skewed compares the end of tasks of very different lengths with the best there is:
// the work shared out evenly, or the longest task alone.
func skewed(bin string) error {
	rnd := rand.New(rand.NewPCG(1, 2))
	var work []any
	var sum, longest float64
	for range 400 {
		t := min(0.5, 0.004/rnd.Float64()) // Pareto, with a bound
		work = append(work, t)
		sum, longest = sum+t, max(longest, t)
	}
	return with(bin, "  workers = 2", func(d *daemon) error {
		took, err := d.all("sleeps.py", work)
		ideal := max(sum/2, longest)
		fmt.Printf("400 tasks of skewed lengths: %.2f s, at best %.2f s: ratio %.3f\n", took.Seconds(), ideal, took.Seconds()/ideal)
		return err
	})
}

// sleepers compares waiting tasks on many slots with the best there is.
func sleepers(bin string) error {
	return with(bin, "  workers = 1\n  threads = 64\n  pin = false", func(d *daemon) error {
		took, err := d.all("sleeps.py", repeat(1000, 0.1))
		ideal := 0.1 * 16 // 1000 tasks on 64 slots are 16 rounds
		fmt.Printf("1000 tasks that sleep 100 ms on 64 slots: %.2f s, at best %.2f s: ratio %.3f\n", took.Seconds(), ideal, took.Seconds()/ideal)
		return err
	})
}

// stragglers measures what 5 s tasks cost a stream of 1 ms tasks, paced at half of
// what the slots that are left can do: two workers with two threads each, of which
// one is taken by a long task.
func stragglers(bin string) error {
	return with(bin, "  workers = 2\n  threads = 2", func(d *daemon) error {
		without, err := d.paced(4*time.Second, 0)
		if err != nil {
			return err
		}
		long, err := d.paced(4*time.Second, 2)
		if err == nil {
			fmt.Printf("1 ms tasks at half of capacity: 99th percentile %s without 5 s tasks, %s beside two of them: ratio %.2f\n",
				without.Round(10*time.Microsecond), long.Round(10*time.Microsecond), long.Seconds()/without.Seconds())
		}
		return err
	})
}

// paced sends a 1 ms task every millisecond, which is half of what two slots can do,
// beside some that take 5 s, and returns the 99th percentile of the short ones.
func (d *daemon) paced(during time.Duration, long int) (time.Duration, error) {
	var under sync.WaitGroup
	failed := make(chan error, 1)
	fail := func(err error) {
		select {
		case failed <- err:
		default:
		}
	}
	for range long {
		under.Go(func() {
			if _, err := d.do("sleeps.py", 5); err != nil {
				fail(err)
			}
		})
	}
	time.Sleep(50 * time.Millisecond) // they have begun
	var mu sync.Mutex
	var took []time.Duration
	began := time.Now()
	for i := 0; time.Since(began) < during; i++ {
		time.Sleep(time.Until(began.Add(time.Duration(i) * time.Millisecond)))
		under.Go(func() {
			sent := time.Now()
			if _, err := d.do("sleeps.py", 0.001); err != nil {
				fail(err)
				return
			}
			mu.Lock()
			took = append(took, time.Since(sent))
			mu.Unlock()
		})
	}
	under.Wait()
	select {
	case err := <-failed:
		return 0, err
	default:
	}
	slices.Sort(took)
	return took[len(took)*99/100], nil
}
