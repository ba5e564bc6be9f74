package part

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"cpulb/bench/cpulbd"
	"cpulb/bench/proc"
	"cpulb/bench/stats"
	"cpulb/bench/subject"

	"golang.org/x/sys/unix"
)

// roundTrips measures each system with its processes where the scheduler puts them, and
// the limits; then some with each process on a core that is named.
func (b *Bench) roundTrips(ctx context.Context) error {
	if err := b.relay("", -1, -1, -1); err != nil {
		return err
	}
	if err := b.fdatasync(); err != nil {
		return err
	}
	for _, s := range b.subjects {
		if err := b.roundTrip(ctx, s, "", "noop", subject.Range); err != nil {
			return err
		}
	}
	return b.pinned(ctx)
}

// roundTrip adds p50 and p99 of a system in µs.
func (b *Bench) roundTrip(ctx context.Context, s *system, where, work string, params func(int) any) error {
	c := subject.Command{Op: subject.RoundTrip, Work: work}
	n, err := b.enough(ctx, s, c, params, pick(b, 600*time.Millisecond, 200*time.Millisecond), 20, 3000)
	if ok, err := b.can(err); !ok {
		return err
	}
	c.Params = params(n / 5)
	_, err = s.Do(ctx, c) // warm
	if ok, err := b.can(err); !ok {
		return err
	}
	c.Params = params(n)
	a, err := s.Do(ctx, c)
	if ok, err := b.can(err); !ok {
		return err
	}
	b.trips(work+where, s.name(), a.NS)
	return nil
}

func (b *Bench) trips(figure, name string, ns []float64) {
	us := stats.Sample(ns).Times(1e-3)
	b.Results.Add("p50 "+figure, name, us.Percentile(50))
	b.Results.Add("p99 "+figure, name, us.Percentile(99))
}

// relay is the limit of a round trip: a message over two sockets to a third process and back.
func (b *Bench) relay(where string, client, middle, worker int) error {
	ns, err := numbers(filepath.Join(b.Tools, "relay"), "3000", strconv.Itoa(client), strconv.Itoa(middle), strconv.Itoa(worker))
	if err == nil {
		b.trips("noop"+where, Relay, ns)
	}
	return err
}

// numbers runs a program that prints numbers, one a line.
func numbers(name string, args ...string) ([]float64, error) {
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var all []float64
	for line := range bytes.Lines(out) {
		v, err := strconv.ParseFloat(string(bytes.TrimSpace(line)), 64)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// fdatasync is the limit of what is durable: 256 bytes appended and synced, on the file
// system that the journals are on.
func (b *Bench) fdatasync() error {
	path := filepath.Join(b.Dir, "sync")
	defer os.Remove(path)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	var ns []float64
	record := make([]byte, 256)
	for range pick(b, 400, 100) {
		began := time.Now()
		if _, err := f.Write(record); err != nil {
			return err
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			return err
		}
		ns = append(ns, float64(time.Since(began)))
	}
	b.trips("noop", Fdatasync, ns)
	return nil
}

// pinned has the client and the daemon, or the relay, on core 0 and the only worker on
// core 1.
func (b *Bench) pinned(ctx context.Context) error {
	const where = " pinned"
	if err := b.relay(where, 0, 0, 1); err != nil {
		return err
	}
	d, err := cpulbd.Start(ctx, b.Bin, b.Dir, cpulbd.Config{Sync: "off", Pool: "workers = 1\n  cores = \"1\""})
	if err != nil {
		return err
	}
	defer d.Stop()
	for _, name := range []string{Go, Python} {
		s, err := b.client(ctx, name, d)
		if err != nil {
			return err
		}
		defer s.Stop()
		// The worker is pinned by the daemon.
		if err := proc.Pin([]int{s.Driver(), d.PID}, 0); err != nil {
			return err
		}
		if err := b.roundTrip(ctx, s, where, "noop", subject.Range); err != nil {
			return err
		}
	}
	pool, err := b.neighbour(ctx, Neighbours()[0], "--slots", "1")
	if err != nil || pool == nil {
		return err
	}
	defer pool.Stop()
	for _, pid := range pool.Processes() {
		core := 1
		if pid == pool.Driver() {
			core = 0
		}
		if err := proc.Pin([]int{pid}, core); err != nil {
			return err
		}
	}
	return b.roundTrip(ctx, pool, where, "noop", subject.Range)
}
