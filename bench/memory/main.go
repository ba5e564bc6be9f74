// Command memory says what the daemon takes: idle, with 100,000 small results kept, after
// a million tasks of which so many are kept, with a million queued, and after these have
// been cancelled. For each it prints the resident memory of the process and its share of
// that (RSS and PSS), at once and when it has been at rest for a while, and what is live on
// Go's heap; while tasks ran also the CPU time of the process for each, and how much of it
// was Go's collector. It starts its own daemons.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"strings"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
	"cpulb/ipc/client"
)

func main() {
	s := settings{}
	flag.StringVar(&s.bin, "bin", "bin", "`folder` of the built programs")
	flag.IntVar(&s.kept, "kept", 100_000, "how many results the daemon keeps")
	flag.IntVar(&s.tasks, "tasks", 1_000_000, "how many tasks to run in all")
	flag.IntVar(&s.queued, "queued", 1_000_000, "how many tasks to queue; 0: leave that out")
	flag.DurationVar(&s.rest, "rest", 10*time.Second, "how long the daemon is at rest before it is looked at again")
	flag.StringVar(&s.profiles, "profiles", "", "`folder` for heap profiles; empty: none")
	journals := flag.String("journals", "off,group", "values of journal.sync to measure with")
	ways := flag.String("ways", "stream,batch", "how tasks are sent; empty: only the queue is measured")
	flag.Parse()
	for _, s.journal = range strings.Split(*journals, ",") {
		for _, s.way = range strings.FieldsFunc(*ways, func(c rune) bool { return c == ',' }) {
			if err := s.ended(); err != nil {
				log.Fatal(err)
			}
		}
		if err := s.waiting(); err != nil {
			log.Fatal(err)
		}
	}
}

// settings say what is measured.
type settings struct {
	bin, journal, way, profiles string
	kept, tasks, queued         int
	rest                        time.Duration
}

// ended measures what tasks take that have ended.
func (s *settings) ended() error {
	d, err := s.start()
	if err != nil {
		return err
	}
	defer d.Stop()
	send := map[string]func(*daemon, int) error{"stream": (*daemon).stream, "batch": (*daemon).batches}[s.way]
	if send == nil {
		return fmt.Errorf("-ways: %q is neither stream nor batch", s.way)
	}
	if err := send(d, 100); err != nil { // the first of everything
		return err
	}
	what := fmt.Sprintf("journal %s, by %s: ", s.journal, s.way)
	idle, err := d.settled(what+"idle", s.rest, usage{})
	if err != nil {
		return err
	}
	for _, phase := range []struct {
		name  string
		tasks int
	}{{"kept", s.kept - 100}, {"evicting", s.tasks - s.kept}} {
		cpu, err := d.cpuOf(phase.tasks, func() error { return send(d, phase.tasks) })
		if err != nil {
			return err
		}
		fmt.Printf("%s%s, %d tasks: %s\n", what, phase.name, phase.tasks, cpu)
		if _, err := d.settled(what+phase.name, s.rest, idle); err != nil {
			return err
		}
		if err := d.profile(s.profiles, strings.Join([]string{s.journal, s.way, phase.name}, "-")); err != nil {
			return err
		}
	}
	return nil
}

// waiting measures what tasks take that wait behind two that run, and what is left of that
// when they have been cancelled.
func (s *settings) waiting() error {
	if s.queued == 0 {
		return nil
	}
	d, err := s.start()
	if err != nil {
		return err
	}
	defer d.Stop()
	for range 2 { // one for each worker
		if _, err := d.client.Submit(context.Background(), d.task("sleeper.py", 9)); err != nil {
			return err
		}
	}
	if err := d.queue(1000); err != nil { // the first of everything
		return err
	}
	what := fmt.Sprintf("journal %s: ", s.journal)
	idle, err := d.settled(what+"idle", s.rest, usage{})
	if err != nil {
		return err
	}
	cpu, err := d.cpuOf(s.queued, func() error { return d.queue(s.queued) })
	if err != nil {
		return err
	}
	fmt.Printf("%squeueing %d tasks: %s\n", what, s.queued, cpu)
	full, err := d.settled(what+"queued", s.rest, idle)
	if err != nil {
		return err
	}
	fmt.Printf("%squeued: %.0f bytes of heap a task\n", what, float64(full.heap-idle.heap)/float64(s.queued))
	if err := d.profile(s.profiles, s.journal+"-queued"); err != nil {
		return err
	}
	if _, err := d.client.CancelTasks(context.Background(), api.Filter{Statuses: []task.Status{task.Queued}}); err != nil {
		return err
	}
	if _, err := d.settled(what+"cancelled", s.rest, idle); err != nil {
		return err
	}
	return d.profile(s.profiles, s.journal+"-cancelled")
}

const perBatch = 1000

// batches runs n tasks in batches and takes their results.
func (d *daemon) batches(n int) error {
	for ; n > 0; n -= perBatch {
		b, err := d.client.SubmitBatch(context.Background(), d.tasks("noop.py", min(n, perBatch)))
		if err != nil {
			return err
		}
		for r, err := range d.client.BatchResults(context.Background(), b.ID) {
			if err != nil || r.Status != task.Completed {
				return fmt.Errorf("%v %+v", err, r)
			}
		}
	}
	return nil
}

// queue queues n tasks.
func (d *daemon) queue(n int) error {
	for ; n > 0; n -= perBatch {
		b, err := d.client.SubmitBatch(context.Background(), d.tasks("noop.py", min(n, perBatch)))
		if err != nil || len(b.Errors) > 0 {
			return fmt.Errorf("%v %v", err, b)
		}
	}
	return nil
}

// stream runs n tasks over one connection, many at a time, and takes their results.
func (d *daemon) stream(n int) error {
	const atOnce = 64
	s, err := d.client.OpenStream(context.Background())
	if err != nil {
		return err
	}
	defer s.Close()
	var open []*client.Pending
	for n > 0 || len(open) > 0 {
		for ; n > 0 && len(open) < atOnce; n-- {
			p, err := s.Submit(context.Background(), d.task("noop.py", task.DefaultPriority))
			if err != nil {
				return err
			}
			open = append(open, p)
		}
		r, err := open[0].Result(context.Background())
		if err != nil || r.Status != task.Completed {
			return fmt.Errorf("%v %+v", err, r)
		}
		open = open[1:]
	}
	return nil
}
