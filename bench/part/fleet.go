package part

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"cpulb/bench/cpulbd"
	"cpulb/bench/stats"
	"cpulb/bench/subject"
	"cpulb/daemon/task"
	"cpulb/ipc/client"
)

// fleet measures what balancing is for.
func (b *Bench) fleet(ctx context.Context) error {
	return errors.Join(b.cores(ctx), b.stragglers(ctx))
}

func mkdir(dir string) error { return os.MkdirAll(dir, 0o700) }

// with runs f with a daemon with that pool and a Go client, after each worker has loaded
// the script.
func (b *Bench) with(ctx context.Context, pool string, f func(d *cpulbd.Daemon, s *system) error) error {
	d, err := cpulbd.Start(ctx, b.Bin, b.Dir, cpulbd.Config{Sync: "off", Pool: pool})
	if err != nil {
		return err
	}
	defer d.Stop()
	s, err := b.client(ctx, Go, d)
	if err != nil {
		return err
	}
	defer s.Stop()
	if _, err := s.Do(ctx, subject.Command{Op: subject.Each, Work: "sleep", Params: subject.Repeat(64, 0.005)}); err != nil {
		return err
	}
	return f(d, s)
}

// cores compares two workers with one on the same computing.
func (b *Bench) cores(ctx context.Context) error {
	for _, workers := range []int{1, 2} {
		err := b.with(ctx, fmt.Sprintf("workers = %d", workers), func(_ *cpulbd.Daemon, s *system) error {
			a, err := s.Do(ctx, subject.Command{Op: subject.Each, Work: "count", Params: subject.Repeat(40, pick(b, 600_000, 200_000))})
			b.Results.Add(fmt.Sprintf("computing by %d", workers), Go, a.Seconds)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// stragglers measures what 5 s tasks cost a stream of 1 ms tasks, paced at half of what
// the slots that are left can do: two workers with two threads each, of which one is
// taken by a long task.
func (b *Bench) stragglers(ctx context.Context) error {
	if b.Short {
		return nil
	}
	return b.with(ctx, "workers = 2\n  threads = 2", func(d *cpulbd.Daemon, _ *system) error {
		stream, err := client.New(d.Socket).OpenStream(ctx)
		if err != nil {
			return err
		}
		defer stream.Close()
		p := pacer{stream: stream, script: filepath.Join(b.Drivers, "works.py")}
		for range 2 {
			for _, long := range []int{0, 2} {
				took, err := p.pace(ctx, 3*time.Second, long)
				if err != nil {
					return err
				}
				b.Results.Add(fmt.Sprintf("p99 beside %d long", long), Go, took.Percentile(99))
			}
		}
		return nil
	})
}

// pacer sends short tasks at their times, whether those before have ended or not.
type pacer struct {
	stream *client.Stream
	script string
}

// pace sends a 1 ms task every millisecond, which is half of what two slots can do,
// beside some that take 5 s, and returns the milliseconds that the short ones took.
func (p pacer) pace(ctx context.Context, during time.Duration, long int) (stats.Sample, error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var under sync.WaitGroup
	for range long {
		under.Go(func() {
			if err := p.sleep(ctx, 5); err != nil {
				fail(err)
			}
		})
	}
	time.Sleep(50 * time.Millisecond) // they have begun
	var mu sync.Mutex
	var took stats.Sample
	began := time.Now()
	for i := 0; time.Since(began) < during && ctx.Err() == nil; i++ {
		time.Sleep(time.Until(began.Add(time.Duration(i) * time.Millisecond)))
		under.Go(func() {
			sent := time.Now()
			if err := p.sleep(ctx, 0.001); err != nil {
				fail(err)
				return
			}
			mu.Lock()
			took = append(took, time.Since(sent).Seconds()*1000)
			mu.Unlock()
		})
	}
	under.Wait()
	return took, context.Cause(ctx)
}

func (p pacer) sleep(ctx context.Context, seconds float64) error {
	text, err := json.Marshal(seconds)
	if err != nil {
		return err
	}
	r, err := p.stream.Do(ctx, &task.Task{ID: task.NewID(), ScriptPath: p.script, Function: "sleep", Params: text,
		Type: task.CPUBound, Priority: task.DefaultPriority})
	if err == nil && r.Status != task.Completed {
		err = fmt.Errorf("a task that sleeps %g s ended %s: %+v", seconds, r.Status, r.Error)
	}
	return err
}
