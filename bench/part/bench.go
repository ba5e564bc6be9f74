// Package part measures: each Part is one kind of work, done by all systems that can, in
// turns, once a round. What it finds goes into the Results.
package part

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cpulb/bench/cpulbd"
	"cpulb/bench/result"
	"cpulb/bench/subject"
)

// Bench is a run.
type Bench struct {
	// Bin has cpulb's programs, Tools those of the benchmark, Drivers the Python drivers.
	Bin, Tools, Drivers string
	// Dir is for everything that is written.
	Dir string
	// Python is the interpreter that is linked, and so the neighbours'.
	Python string
	// Short is for a quick look: less of each, the large left out.
	Short   bool
	Results *result.Results
	Say     func(format string, args ...any)
	// Verbose has each command said.
	Verbose bool

	// Round counts from 0, of Rounds.
	Round, Rounds int

	daemons  map[string]*cpulbd.Daemon
	subjects []*system
	counts   map[string]int // how many tasks make a measurement, by what is measured
	folders  int
}

// system is a Subject with what is known of it here.
type system struct {
	*subject.Subject
	Neighbour
	// heard gets how long each command took, if anybody wants to know.
	heard func(name string, c subject.Command, took time.Duration)
}

// Do is the Subject's. What a neighbour fails in is one more thing that it does not
// have; what ours fail in ends the run.
func (s *system) Do(ctx context.Context, c subject.Command) (subject.Answer, error) {
	if s.heard != nil {
		began := time.Now()
		defer func() { s.heard(s.name(), c, time.Since(began)) }()
	}
	a, err := s.Subject.Do(ctx, c)
	return a, s.excuse(ctx, err)
}

// excuse returns a neighbour's failure as something that it does not have.
func (n Neighbour) excuse(ctx context.Context, err error) error {
	if err == nil || len(n.driver) == 0 || ctx.Err() != nil || errors.Is(err, subject.ErrUnsupported) {
		return err
	}
	said, _, _ := strings.Cut(err.Error(), "\n")
	return fmt.Errorf("%s: %w: it failed: %s", n.Name, subject.ErrUnsupported, said)
}

func (s *system) name() string { return s.Neighbour.Name }

// Part is one kind of work.
type Part struct {
	Name, About string
	// alone: no neighbours but the yardstick do it.
	alone   bool
	measure func(*Bench, context.Context) error
}

// Parts returns all, in the order in which they are measured.
func Parts() []Part {
	return []Part{
		{"roundtrip", "a no-op and its result, one after the other", false, (*Bench).roundTrips},
		{"throughput", "no-ops, one by one and in batches; CPU time and memory", false, (*Bench).throughput},
		{"work", "1 ms of computing, skewed lengths, numpy", false, (*Bench).work},
		{"payload", "1 kB to 100 MB to the script and back", false, (*Bench).payload},
		{"journal", "what being durable costs", true, (*Bench).journal},
		{"waiting", "64 tasks at a time that wait", false, (*Bench).waiting},
		{"fleet", "two cores, and short tasks beside long ones", true, (*Bench).fleet},
		{"cost", "switches and system calls a task", true, (*Bench).cost},
		{"start", "from exec to ready", true, (*Bench).start},
		{"walls", "a process for each task", true, (*Bench).walls},
		{"executors", "a no-op by each executor", true, (*Bench).executors},
		{"futures", "calls by the Python client's Executor", true, (*Bench).futures},
		{"curves", "depth, workers, clients", true, (*Bench).curves},
		{"queue", "a million tasks queued", true, (*Bench).queue},
	}
}

// Measure measures some parts once.
func (b *Bench) Measure(ctx context.Context, parts []Part) (err error) {
	if b.counts == nil {
		b.counts = map[string]int{}
	}
	defer b.stop()
	neighbours := Neighbours()
	if !slices.ContainsFunc(parts, func(p Part) bool { return !p.alone }) {
		neighbours = neighbours[:1]
	}
	if err := b.startAll(ctx, neighbours); err != nil {
		return err
	}
	for _, p := range parts {
		began := time.Now()
		if err := p.measure(b, ctx); err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
		b.Say("  %-10s %5.1f s  %s", p.Name, time.Since(began).Seconds(), p.About)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// startAll starts what stays for the round: a daemon for each setting of the journal
// with its clients, and the neighbours that are there.
func (b *Bench) startAll(ctx context.Context, neighbours []Neighbour) error {
	b.daemons = map[string]*cpulbd.Daemon{}
	for _, sync := range []string{"off", "interval", "group"} {
		d, err := cpulbd.Start(ctx, b.Bin, b.Dir, cpulbd.Config{Sync: sync, Pool: "workers = 2"})
		if err != nil {
			return err
		}
		b.daemons[sync] = d
	}
	for _, own := range []struct{ name, sync string }{{Go, "off"}, {Python, "off"}, {GoInterval, "interval"}, {PythonInterval, "interval"}, {GoGroup, "group"}, {PythonGroup, "group"}} {
		s, err := b.client(ctx, own.name, b.daemons[own.sync])
		if err != nil {
			return err
		}
		b.add(s)
	}
	for _, n := range neighbours {
		s, err := b.neighbour(ctx, n)
		if err != nil {
			return err
		}
		if s != nil {
			b.Results.Add("start", n.Name, s.Start.Seconds())
			b.add(s)
		}
	}
	return nil
}

func (b *Bench) add(s *system) {
	b.subjects = append(b.subjects, s)
	b.Results.Saw(result.System{Name: s.name(), Versions: s.Versions, Settings: s.Settings})
}

// client starts a driver of one of our clients.
func (b *Bench) client(ctx context.Context, name string, d *cpulbd.Daemon) (*system, error) {
	command := []string{filepath.Join(b.Tools, "goclient"), d.Socket, filepath.Join(b.Drivers, "works.py")}
	if strings.Contains(name, "Python") {
		command = []string{b.Python, filepath.Join(b.Drivers, "cpulb_engine.py"), "--socket", d.Socket}
	}
	s, err := subject.Start(ctx, subject.Spec{Name: name, Command: command, Also: []int{d.PID}}, b.folder())
	if err != nil {
		return nil, err
	}
	return b.system(s, Neighbour{Name: name, largest: 100_000_000, quick: true}), nil
}

// neighbour starts one, with arguments beside its own; nil if it is not there, or has no such thing.
func (b *Bench) neighbour(ctx context.Context, n Neighbour, more ...string) (*system, error) {
	if packages := n.missing(b.Python); len(packages) > 0 {
		slices.Sort(packages)
		b.Results.Lacks(n.Name, "not installed: "+strings.Join(packages, ", ")+"; `make bench NEIGHBOURS=install` installs what is missing")
		return nil, nil
	}
	command := append([]string{b.Python, filepath.Join(b.Drivers, n.driver[0])}, n.driver[1:]...)
	s, err := subject.Start(ctx, subject.Spec{Name: n.Name, Command: append(command, more...), Restless: n.restless}, b.folder())
	if err != nil {
		_, err := b.can(n.excuse(ctx, err))
		return nil, err
	}
	return b.system(s, n), nil
}

func (b *Bench) system(s *subject.Subject, n Neighbour) *system {
	if !b.Verbose {
		return &system{s, n, nil}
	}
	return &system{s, n, func(name string, c subject.Command, took time.Duration) {
		b.Say("    %6.2f s  %s %s %.40s, %s", took.Seconds(), c.Op, c.Work, fmt.Sprint(c.Params), name)
	}}
}

// folder returns a new one.
func (b *Bench) folder() string {
	b.folders++
	return filepath.Join(b.Dir, fmt.Sprintf("s%d", b.folders))
}

// stop ends everything of the round.
func (b *Bench) stop() {
	for _, s := range b.subjects {
		s.Stop()
	}
	b.subjects = nil
	for sync, d := range b.daemons {
		if err := d.Stop(); err != nil {
			b.Say("the daemon with journal %s: %v", sync, err)
		}
	}
	b.daemons = nil
	folders, _ := filepath.Glob(filepath.Join(b.Dir, "s*"))
	for _, f := range folders {
		os.RemoveAll(f)
	}
}

// of returns the system of that name, nil if it does not run.
func (b *Bench) of(name string) *system {
	i := slices.IndexFunc(b.subjects, func(s *system) bool { return s.name() == name })
	if i < 0 {
		return nil
	}
	return b.subjects[i]
}

// durable are our systems that differ from others in the journal alone.
func durable(name string) bool {
	return strings.HasSuffix(name, "interval") || strings.HasSuffix(name, "group")
}

// can turns what a system has not into a note; ok says whether it has it.
func (b *Bench) can(err error) (ok bool, _ error) {
	if errors.Is(err, subject.ErrUnsupported) {
		name, why, _ := strings.Cut(err.Error(), ": "+subject.ErrUnsupported.Error()+": ")
		b.Results.Lacks(name, why)
		return false, nil
	}
	return err == nil, err
}

// enough returns how many tasks a system does in about this time, found by a measurement
// of some; it stays for the run, so that rounds are alike. All quick systems have the
// most, so that what is compared is the same.
func (b *Bench) enough(ctx context.Context, s *system, c subject.Command, params func(n int) any, within time.Duration, least, most int) (int, error) {
	key := s.name() + string(c.Op) + c.Work
	if n := b.counts[key]; n > 0 {
		return n, nil
	}
	// The first of everything takes longer, so it is not counted; for the slow a few do.
	few := 4
	for range 2 {
		c.Params = params(few)
		a, err := s.Do(ctx, c)
		if err != nil {
			return 0, err
		}
		each := time.Duration(a.Seconds * float64(time.Second) / float64(few))
		if each > within/10 {
			b.counts[key] = few
			return few, nil
		}
		few = least
	}
	a, err := s.Do(ctx, c)
	if err != nil {
		return 0, err
	}
	n := min(max(int(float64(least)/a.Seconds*within.Seconds()), least), most)
	if s.quick && c.Op != subject.RoundTrip {
		n = most
	}
	b.counts[key] = n
	return n, nil
}

// pick returns the second for a short run, else the first.
func pick[T any](b *Bench, full, short T) T {
	if b.Short {
		return short
	}
	return full
}

// curved says whether this is one of the rounds, half of all, in which curves are measured.
func (b *Bench) curved() bool { return b.Round < (b.Rounds+1)/2 }
