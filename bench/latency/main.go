// Command latency measures what a task costs around its script: the round trip
// of a no-op by the Go and the Python client, against a bare C relay over two
// socket hops and against Python's ProcessPoolExecutor, in one run on one
// placement, in turns so that a drift of the machine meets all alike. It also
// reports pipelined throughput, resident memory and the time to ready.
//
//	go run ./bench/latency [-bin bin] [-rounds 3000] [-turns 5]
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"cpulb/daemon/task"
	"cpulb/ipc/client"

	"golang.org/x/sys/unix"
)

// Placement of the three processes; -1 leaves one to the scheduler.
type placement struct{ client, middle, worker int }

func (p placement) String() string {
	if p.client < 0 {
		return "client and daemon not pinned, worker pinned by the daemon (relay: none pinned)"
	}
	return fmt.Sprintf("client on CPU %d, daemon or relay on %d, worker on %d", p.client, p.middle, p.worker)
}

type bench struct {
	bin, dir      string
	rounds, turns int
	python        string
}

func main() {
	var b bench
	flag.StringVar(&b.bin, "bin", "bin", "folder of the built programs")
	flag.IntVar(&b.rounds, "rounds", 3000, "round trips of each kind in each turn")
	flag.IntVar(&b.turns, "turns", 5, "turns over all kinds")
	flag.StringVar(&b.python, "python", "/usr/bin/python3", "interpreter of the Python client and the process pool")
	flag.Parse()
	if err := b.run(); err != nil {
		fmt.Fprintln(os.Stderr, "latency:", err)
		os.Exit(1)
	}
}

func (b *bench) run() error {
	dir, err := os.MkdirTemp("", "cpulb-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b.dir = dir
	build := exec.Command("cc", "-O2", "-o", filepath.Join(dir, "relay"), "bench/latency/relay/relay.c")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("cc: %w: %s", err, out)
	}
	for _, p := range []placement{{0, 0, 1}, {-1, -1, -1}} {
		if err := b.place(p); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	return b.startup()
}

// daemon is one that this run started.
type daemon struct {
	cmd    *exec.Cmd
	socket string
	ready  time.Duration
}

func (b *bench) daemon() (*daemon, error) {
	d := &daemon{socket: filepath.Join(b.dir, "cpulb.sock")}
	d.cmd = exec.Command(filepath.Join(b.bin, "cpulbd"), "-private", "-config", "bench/latency/config.hcl",
		"-socket", d.socket, "-state-dir", filepath.Join(b.dir, "state"))
	d.cmd.Stderr = os.Stderr
	start := time.Now()
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	for c := client.New(d.socket); ; time.Sleep(time.Millisecond) {
		if _, err := c.Status(context.Background()); err == nil {
			break
		}
		if time.Since(start) > 20*time.Second {
			return nil, errors.Join(errors.New("the daemon is not ready after 20 s"), d.stop())
		}
	}
	d.ready = time.Since(start)
	return d, nil
}

func (d *daemon) stop() error {
	return errors.Join(d.cmd.Process.Signal(unix.SIGTERM), d.cmd.Wait())
}

// pin fixes every thread of a process; threads made later inherit it.
func pin(pid, cpu int) error {
	if cpu < 0 {
		return nil
	}
	var set unix.CPUSet
	set.Set(cpu)
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	for _, t := range threads {
		tid, _ := strconv.Atoi(filepath.Base(t))
		err = errors.Join(err, unix.SchedSetaffinity(tid, &set))
	}
	return err
}

func unpin() error {
	var set unix.CPUSet
	for cpu := range 1024 {
		set.Set(cpu)
	}
	threads, err := filepath.Glob("/proc/self/task/*")
	for _, t := range threads {
		tid, _ := strconv.Atoi(filepath.Base(t))
		err = errors.Join(err, unix.SchedSetaffinity(tid, &set))
	}
	return err
}

// place measures all kinds on one placement.
func (b *bench) place(p placement) error {
	d, err := b.daemon()
	if err != nil {
		return err
	}
	defer d.stop()
	if err := errors.Join(pin(d.cmd.Process.Pid, p.middle), pin(os.Getpid(), p.client)); err != nil {
		return err
	}
	defer unpin()
	script, err := filepath.Abs("bench/latency/noop.py")
	if err != nil {
		return err
	}
	clientCPU, workerCPU := strconv.Itoa(p.client), strconv.Itoa(p.worker)
	rounds := strconv.Itoa(b.rounds)
	kinds := []struct {
		name string
		run  func() ([]time.Duration, error)
	}{
		{"C relay", func() ([]time.Duration, error) {
			return lines(filepath.Join(b.dir, "relay"), rounds, clientCPU, strconv.Itoa(p.middle), workerCPU)
		}},
		{"Go client", func() ([]time.Duration, error) { return goRounds(d.socket, script, b.rounds) }},
		{"Python client", func() ([]time.Duration, error) {
			return lines(b.python, "bench/latency/client_rounds.py", "ipc/python", d.socket, script, rounds, clientCPU)
		}},
		{"ProcessPoolExecutor", func() ([]time.Duration, error) {
			return lines(b.python, "bench/latency/pool_rounds.py", rounds, clientCPU, workerCPU)
		}},
	}
	medians := make([][]time.Duration, len(kinds))
	for range b.turns {
		for i, k := range kinds {
			times, err := k.run()
			if err != nil {
				return fmt.Errorf("%s: %w", k.name, err)
			}
			medians[i] = append(medians[i], median(times))
		}
	}
	fmt.Printf("\nRound trip of a no-op, %s; %d turns of %d: median of the turns' medians (least to most)\n", p, b.turns, b.rounds)
	for i, k := range kinds {
		m := median(medians[i])
		fmt.Printf("  %-20s %8.1f µs  (%.1f to %.1f)  %.2f of the relay, %.2f of ProcessPoolExecutor\n", k.name, micros(m),
			micros(slices.Min(medians[i])), micros(slices.Max(medians[i])),
			float64(m)/float64(median(medians[0])), float64(m)/float64(median(medians[len(kinds)-1])))
	}
	return b.load(d, script)
}

// load measures what needs a daemon under load: throughput and memory.
func (b *bench) load(d *daemon, script string) error {
	var rates []float64
	for range b.turns {
		rate, err := pipelined(d.socket, script, 20_000)
		if err != nil {
			return err
		}
		rates = append(rates, rate)
	}
	slices.Sort(rates)
	fmt.Printf("  pipelined, one connection: %.0f tasks/s (%.0f to %.0f)\n", rates[len(rates)/2], rates[0], rates[len(rates)-1])
	fmt.Printf("  resident: daemon %s", rss(d.cmd.Process.Pid))
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", d.cmd.Process.Pid, d.cmd.Process.Pid))
	all, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", d.cmd.Process.Pid))
	for _, f := range all {
		more, _ := os.ReadFile(f)
		children = append(children, more...)
	}
	pids := strings.Fields(string(children))
	slices.Sort(pids)
	for _, pid := range slices.Compact(pids) {
		n, _ := strconv.Atoi(pid)
		fmt.Printf(", worker %s", rss(n))
	}
	fmt.Println()
	return nil
}

func (b *bench) startup() error {
	var times []time.Duration
	for range 2*b.turns + 1 {
		d, err := b.daemon()
		if err != nil {
			return err
		}
		times = append(times, d.ready)
		if err := d.stop(); err != nil {
			return err
		}
	}
	fmt.Printf("\nFrom exec to the first answered status, %d starts: median %.0f ms (%.0f to %.0f)\n", len(times),
		micros(median(times))/1000, micros(slices.Min(times))/1000, micros(slices.Max(times))/1000)
	return nil
}

func goRounds(socket, script string, rounds int) ([]time.Duration, error) {
	ctx := context.Background()
	s, err := client.New(socket).OpenStream(ctx)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var times []time.Duration
	for i := -500; i < rounds; i++ {
		start := time.Now()
		if err := do(ctx, s, script); err != nil {
			return nil, err
		}
		if i >= 0 {
			times = append(times, time.Since(start))
		}
	}
	return times, nil
}

func do(ctx context.Context, s *client.Stream, script string) error {
	r, err := s.Do(ctx, noop(script))
	if err == nil && r.Status != task.Completed {
		err = fmt.Errorf("the no-op ended %s: %+v", r.Status, r.Error)
	}
	return err
}

func noop(script string) *task.Task {
	return &task.Task{ID: task.NewID(), ScriptPath: script, Function: task.DefaultFunction, Params: []byte("{}"),
		Type: task.CPUBound, Priority: task.DefaultPriority}
}

// pipelined keeps 64 tasks under way on one connection and returns tasks a second.
func pipelined(socket, script string, n int) (float64, error) {
	ctx := context.Background()
	s, err := client.New(socket).OpenStream(ctx)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	start := time.Now()
	var wg sync.WaitGroup
	errs := make(chan error, 64)
	for range 64 {
		wg.Go(func() {
			for range n / 64 {
				if err := do(ctx, s, script); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	return float64(n/64*64) / time.Since(start).Seconds(), <-errs
}

// lines runs a program that prints nanoseconds, one a line.
func lines(name string, args ...string) ([]time.Duration, error) {
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	var times []time.Duration
	for line := range bytes.Lines(out) {
		ns, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 10, 64)
		if err != nil {
			return nil, err
		}
		times = append(times, time.Duration(ns))
	}
	return times, nil
}

func median(times []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	return sorted[len(sorted)/2]
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func rss(pid int) string {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
