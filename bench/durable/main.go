// Command durable says what the journal costs: the same work by daemons with journal.sync off,
// interval and group, in turns, and one fdatasync of the disk that they write to. It starts
// its own daemons, each with one worker.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
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

type settings struct {
	rounds, submitters, batch int
	script                    string
}

func main() {
	bin := flag.String("bin", "bin", "`folder` of the built programs")
	dir := flag.String("dir", "", "`folder` on the disk to measure; empty: that of temporary files")
	turns := flag.Int("turns", 5, "turns over all kinds of work and all settings")
	var s settings
	flag.IntVar(&s.rounds, "rounds", 1000, "round trips in each turn; 0: none")
	flag.IntVar(&s.submitters, "submitters", 32, "clients that wait for each result; 0: none")
	flag.IntVar(&s.batch, "batch", 20_000, "tasks in a batch; 0: none")
	flag.Parse()
	if err := run(*bin, *dir, *turns, s); err != nil {
		log.Fatal(err)
	}
}

// modes are the settings of journal.sync.
func modes() []string { return []string{"off", "interval", "group"} }

func run(bin, dir string, turns int, s settings) error {
	dir, err := os.MkdirTemp(dir, "cpulb-durable")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s.script = filepath.Join(dir, "noop.py")
	if err := os.WriteFile(s.script, []byte("def main(params, context):\n    return None\n"), 0o644); err != nil {
		return err
	}
	daemons := map[string]*daemon{}
	for _, mode := range modes() {
		d, err := start(bin, filepath.Join(dir, mode), mode)
		if err != nil {
			return err
		}
		defer d.stop()
		daemons[mode] = d
		if _, err := d.roundTrips(s.script, 300); err != nil { // the first of everything
			return err
		}
	}
	r := results{}
	for range turns {
		if err := r.turn(daemons, dir, s); err != nil {
			return err
		}
	}
	r.print()
	return nil
}

// results has the figure of each turn, by kind of work and setting.
type results map[string][]float64

func (r results) add(name string, v float64) { r[name] = append(r[name], v) }

func (r results) turn(daemons map[string]*daemon, dir string, s settings) error {
	sync, err := fdatasync(dir, 200)
	if err != nil {
		return err
	}
	r.add("fdatasync", sync)
	for _, mode := range modes() {
		d := daemons[mode]
		each := 6000 / max(1, s.submitters)
		for _, work := range []struct {
			name  string
			tasks int
			do    func() (float64, error)
		}{
			{"trip", s.rounds, func() (float64, error) { return d.roundTrips(s.script, s.rounds) }},
			{"many", s.submitters * each, func() (float64, error) { return d.many(s.script, s.submitters, each) }},
			{"batch", s.batch, func() (float64, error) { return d.batch(s.script, s.batch) }},
		} {
			if work.tasks == 0 {
				continue
			}
			before := d.cpu()
			figure, err := work.do()
			if err != nil {
				return err
			}
			r.add(work.name+" "+mode, figure)
			r.add("cpu "+work.name+" "+mode, micros(d.cpu()-before)/float64(work.tasks))
		}
	}
	return nil
}

// ratio returns f of each turn's figures: the machine changes less within one.
func (r results) ratio(f func(turn int) float64) (all []float64) {
	for i := range r["fdatasync"] {
		all = append(all, f(i))
	}
	return all
}

func (r results) print() {
	fmt.Printf("one fdatasync: %s µs\n", spread(r["fdatasync"]))
	for _, kind := range []struct{ name, unit string }{{"trip", "µs, p50"}, {"many", "tasks/s"}, {"batch", "tasks/s"}} {
		if len(r[kind.name+" off"]) == 0 {
			continue
		}
		for _, mode := range modes() {
			name := kind.name + " " + mode
			fmt.Printf("%-5s %-8s %s %s; CPU of the daemon a task: %s µs\n", kind.name, mode, spread(r[name]), kind.unit, spread(r["cpu "+name]))
		}
		for _, mode := range modes()[1:] {
			name := kind.name + " " + mode
			if kind.name == "trip" && mode == "group" {
				fmt.Printf("  group / (off + fdatasync): %s\n", spread(r.ratio(func(i int) float64 { return r[name][i] / (r["trip off"][i] + r["fdatasync"][i]) })))
				continue
			}
			fmt.Printf("  %s / off: %s\n", mode, spread(r.ratio(func(i int) float64 { return r[name][i] / r[kind.name+" off"][i] })))
		}
	}
}

// spread is the median, the least and the most.
func spread(all []float64) string {
	s := slices.Sorted(slices.Values(all))
	if s[0] < 10 {
		return fmt.Sprintf("%.2f (%.2f to %.2f)", s[len(s)/2], s[0], s[len(s)-1])
	}
	return fmt.Sprintf("%.0f (%.0f to %.0f)", s[len(s)/2], s[0], s[len(s)-1])
}

// fdatasync returns the median of how long one takes after a write of 400 bytes.
func fdatasync(dir string, n int) (float64, error) {
	f, err := os.CreateTemp(dir, "sync")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	var all []float64
	for range n {
		if _, err := f.Write(make([]byte, 400)); err != nil {
			return 0, err
		}
		began := time.Now()
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return 0, err
		}
		all = append(all, micros(time.Since(began)))
	}
	return median(all), nil
}

// cpu is what the daemon's threads have used, but for those that have ended.
func (d *daemon) cpu() (all time.Duration) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", d.cmd.Process.Pid))
	for _, name := range files {
		var ns int64
		text, _ := os.ReadFile(name)
		_, _ = fmt.Sscan(string(text), &ns)
		all += time.Duration(ns)
	}
	return all
}

// daemon is one of our own.
type daemon struct {
	cmd    *exec.Cmd
	client *client.Client
	stream *client.Stream
}

func start(bin, dir, sync string) (*daemon, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	config := fmt.Sprintf("executor \"python\" {\n  command = \"cpulb-python\"\n}\n"+
		"pool \"cpu\" {\n  executor = \"python\"\n  task_types = [\"cpu_bound\"]\n  workers = 1\n}\njournal {\n  sync = %q\n}\n", sync)
	path, socket := filepath.Join(dir, "config.hcl"), filepath.Join(dir, "cpulb.sock")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return nil, err
	}
	d := &daemon{client: client.New(socket)}
	d.cmd = exec.Command(filepath.Join(bin, "cpulbd"), "-private", "-config", path, "-socket", socket, "-state-dir", filepath.Join(dir, "state"))
	d.cmd.Stderr = os.Stderr
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := d.client.Status(context.Background()); err == nil {
			break
		}
		if time.Now().After(deadline) {
			return nil, errors.Join(errors.New("the daemon is not ready after 20 s"), d.stop())
		}
	}
	var err error
	d.stream, err = d.client.OpenStream(context.Background())
	return d, err
}

func (d *daemon) stop() error {
	return errors.Join(d.cmd.Process.Signal(syscall.SIGTERM), d.cmd.Wait())
}

func noop(script string) *task.Task {
	return &task.Task{ID: task.NewID(), ScriptPath: script, Function: task.DefaultFunction, Params: []byte("{}"), Type: task.CPUBound,
		Priority: task.DefaultPriority}
}

func do(s *client.Stream, script string) error {
	r, err := s.Do(context.Background(), noop(script))
	if err == nil && r.Status != task.Completed {
		err = fmt.Errorf("the no-op ended %s: %+v", r.Status, r.Error)
	}
	return err
}

// roundTrips returns the median of n, one after the other.
func (d *daemon) roundTrips(script string, n int) (float64, error) {
	var all []float64
	for range n {
		began := time.Now()
		if err := do(d.stream, script); err != nil {
			return 0, err
		}
		all = append(all, micros(time.Since(began)))
	}
	return median(all), nil
}

// many has clients wait for each of their results, and returns tasks a second.
func (d *daemon) many(script string, clients, each int) (float64, error) {
	var all sync.WaitGroup
	failed := make(chan error, clients)
	began := time.Now()
	for range clients {
		all.Go(func() {
			s, err := d.client.OpenStream(context.Background())
			for range each {
				if err == nil {
					err = do(s, script)
				}
			}
			if s != nil {
				err = errors.Join(err, s.Close())
			}
			failed <- err
		})
	}
	all.Wait()
	var err error
	for range clients {
		err = errors.Join(err, <-failed)
	}
	return float64(clients*each) / time.Since(began).Seconds(), err
}

// batch submits n tasks at once and reads their results; it returns tasks a second.
func (d *daemon) batch(script string, n int) (float64, error) {
	var tasks []*task.Task
	for range n {
		tasks = append(tasks, noop(script))
	}
	began := time.Now()
	b, err := d.client.SubmitBatch(context.Background(), tasks)
	if err != nil {
		return 0, err
	}
	count := 0
	for r, err := range d.client.BatchResults(context.Background(), b.ID) {
		if err != nil || r.Status != task.Completed {
			return 0, fmt.Errorf("%+v %w", r, err)
		}
		count++
	}
	if count != n {
		return 0, fmt.Errorf("%d results of %d", count, n)
	}
	return float64(n) / time.Since(began).Seconds(), nil
}

func median(all []float64) float64 { return slices.Sorted(slices.Values(all))[len(all)/2] }

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
