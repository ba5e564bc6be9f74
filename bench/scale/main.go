// Command scale queues very many tasks behind one that runs and says what that
// costs: the rate of submission over time, the daemon's heap for each task, and how
// long the status takes meanwhile. With -submitters it also measures how many tasks
// a second go through for clients that wait for each result, with and without a
// journal. It starts its own daemons.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"cpulb/daemon/task"
	"cpulb/ipc/client"
)

func main() {
	bin := flag.String("bin", "bin", "`folder` of the built programs")
	tasks := flag.Int("tasks", 1_000_000, "how many to queue; 0: leave that out")
	submitters := flag.Int("submitters", 32, "how many clients wait for results at a time; 0: leave that out")
	flag.Parse()
	for _, sync := range []string{"group", "off"} {
		if err := queue(*bin, sync, *tasks); err != nil {
			log.Fatal(err)
		}
	}
	for range 3 {
		for _, sync := range []string{"group", "off"} {
			if err := throughput(*bin, sync, *submitters); err != nil {
				log.Fatal(err)
			}
		}
	}
}

// daemon is one of our own.
type daemon struct {
	cmd    *exec.Cmd
	dir    string
	socket string
	http   *http.Client
}

func start(bin, sync string) (*daemon, error) {
	dir, err := os.MkdirTemp("", "cpulb-scale")
	if err != nil {
		return nil, err
	}
	base, err := os.ReadFile("bench/scale/config.hcl")
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "config.hcl")
	if err := os.WriteFile(config, fmt.Appendf(base, "journal {\n  sync = %q\n}\n", sync), 0o600); err != nil {
		return nil, err
	}
	d := &daemon{dir: dir, socket: filepath.Join(dir, "cpulb.sock")}
	d.cmd = exec.Command(filepath.Join(bin, "cpulbd"), "-private", "-config", config,
		"-socket", d.socket, "-state-dir", filepath.Join(dir, "state"))
	d.cmd.Stderr = os.Stderr
	d.http = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", d.socket)
	}}}
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := d.get("/readyz"); err == nil {
			return d, nil
		}
		if time.Now().After(deadline) {
			return nil, errors.Join(errors.New("the daemon is not ready after 20 s"), d.stop())
		}
	}
}

func (d *daemon) stop() error {
	return errors.Join(d.cmd.Process.Signal(syscall.SIGTERM), d.cmd.Wait(), os.RemoveAll(d.dir))
}

func (d *daemon) get(path string) ([]byte, error) {
	resp, err := d.http.Get("http://cpulb" + path)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// heap is what is live after a collection.
func (d *daemon) heap() (float64, error) {
	if _, err := d.get("/debug/pprof/heap?gc=1"); err != nil {
		return 0, err
	}
	text, err := d.get("/metrics")
	if err != nil {
		return 0, err
	}
	found := regexp.MustCompile(`(?m)^go_memstats_alloc_bytes (\S+)$`).FindSubmatch(text)
	if found == nil {
		return 0, errors.New("no go_memstats_alloc_bytes among the metrics")
	}
	return strconv.ParseFloat(string(found[1]), 64)
}

func (d *daemon) script(name, text string) (string, error) {
	path := filepath.Join(d.dir, name)
	return path, os.WriteFile(path, []byte(text), 0o644)
}

const perBatch = 1000

// queue submits n tasks in batches behind one that sleeps.
func queue(bin, sync string, n int) error {
	if n == 0 {
		return nil
	}
	d, err := start(bin, sync)
	if err != nil {
		return err
	}
	defer d.stop()
	sleeper, err := d.script("sleeper.py", "import time\ndef main(params, context):\n    time.sleep(3600)\n")
	if err != nil {
		return err
	}
	noop, err := d.script("noop.py", "def main(params, context):\n    return None\n")
	if err != nil {
		return err
	}
	first := &task.Task{ID: task.NewID(), ScriptPath: sleeper, Function: task.DefaultFunction, Type: task.CPUBound, Priority: 9}
	if _, err := client.New(d.socket).Submit(context.Background(), first); err != nil {
		return err
	}
	line := fmt.Appendf(nil, "{\"script_path\":%q,\"params\":{}}\n", noop)
	body := bytes.Repeat(line, perBatch)
	if err := d.batch(body); err != nil { // not counted: the first of everything
		return err
	}
	before, err := d.heap()
	if err != nil {
		return err
	}
	watched := d.watchStatus()
	var took []time.Duration
	for range n / perBatch {
		began := time.Now()
		if err := d.batch(body); err != nil {
			return err
		}
		took = append(took, time.Since(began))
	}
	status := watched()
	after, err := d.heap()
	if err != nil {
		return err
	}
	payload := len(noop) + len("{}")
	tenth := len(took) / 10
	early, late := rate(took[:tenth]), rate(took[len(took)-tenth:])
	fmt.Printf("journal %s: %d tasks queued: first tenth %.0f tasks/s, last tenth %.0f, ratio %.2f; "+
		"heap %.0f bytes a task beyond its payload of %d; status: median %s, 99th percentile %s, longest %s of %d\n",
		sync, n, early, late, late/early, (after-before)/float64(n)-float64(payload), payload,
		status[len(status)/2], status[len(status)*99/100], status[len(status)-1], len(status))
	return nil
}

func rate(took []time.Duration) float64 {
	var sum time.Duration
	for _, t := range took {
		sum += t
	}
	return float64(len(took)*perBatch) / sum.Seconds()
}

func (d *daemon) batch(body []byte) error {
	resp, err := d.http.Post("http://cpulb/v1/batches", "application/x-ndjson", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusAccepted || !bytes.Contains(text, []byte(`"errors":[]`)) {
		return fmt.Errorf("batch: %s %.200s %w", resp.Status, text, err)
	}
	return nil
}

// watchStatus asks for the status all the time, and returns what ends that and
// tells how long each answer took, sorted.
func (d *daemon) watchStatus() (end func() []time.Duration) {
	stop, done := make(chan struct{}), make(chan []time.Duration)
	go func() {
		var took []time.Duration
		for {
			select {
			case <-stop:
				slices.Sort(took)
				done <- took
				return
			case <-time.After(20 * time.Millisecond):
			}
			began := time.Now()
			if _, err := d.get("/v1/status"); err == nil {
				took = append(took, time.Since(began))
			}
		}
	}()
	return func() []time.Duration { close(stop); return <-done }
}

// throughput has clients submit a task, wait for its result, and so on.
func throughput(bin, journal string, submitters int) error {
	if submitters == 0 {
		return nil
	}
	d, err := start(bin, journal)
	if err != nil {
		return err
	}
	defer d.stop()
	noop, err := d.script("noop.py", "def main(params, context):\n    return None\n")
	if err != nil {
		return err
	}
	const each = 1000
	began := time.Now()
	var all sync.WaitGroup
	failed := make(chan error, submitters)
	for range submitters {
		all.Go(func() { failed <- d.submitter(noop, each) })
	}
	all.Wait()
	for range submitters {
		if err := <-failed; err != nil {
			return err
		}
	}
	perSecond := float64(submitters*each) / time.Since(began).Seconds()
	fmt.Printf("journal %s: %d submitters that wait: %.0f tasks/s\n", journal, submitters, perSecond)
	return nil
}

func (d *daemon) submitter(script string, n int) error {
	s, err := client.New(d.socket).OpenStream(context.Background())
	if err != nil {
		return err
	}
	defer s.Close()
	for range n {
		r, err := s.Do(context.Background(), &task.Task{ID: task.NewID(), ScriptPath: script, Function: "main", Type: task.CPUBound, Priority: 5})
		if err != nil || r.Status != task.Completed {
			return fmt.Errorf("%v %+v", err, r)
		}
	}
	return nil
}
