package part

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"cpulb/bench/cpulbd"
	"cpulb/bench/stats"
	"cpulb/daemon/task"
	"cpulb/ipc/client"
)

// queue submits very many tasks, durably and in batches, behind one that sleeps: the
// rate at the end over that at the start, the heap a task takes, and how long the status
// takes meanwhile.
func (b *Bench) queue(ctx context.Context) error {
	if b.Round > 0 && b.Round < b.Rounds-1 {
		return nil
	}
	d, err := cpulbd.Start(ctx, b.Bin, b.Dir, cpulbd.Config{Sync: "group", Pool: "workers = 1"})
	if err != nil {
		return err
	}
	defer d.Stop()
	f := filler{client: client.New(d.Socket), script: filepath.Join(b.Drivers, "works.py")}
	sleeper := f.task("sleep")
	sleeper.Params, sleeper.Priority = []byte("3600"), 9
	if _, err := f.client.Submit(ctx, sleeper); err != nil {
		return err
	}
	if _, err := f.batch(ctx); err != nil { // not counted: the first of everything
		return err
	}
	before, err := d.Heap(ctx)
	if err != nil {
		return err
	}
	batches := pick(b, 1_000_000, 50_000) / perBatch
	watched := watchStatus(ctx, d)
	var took stats.Sample
	for range batches {
		t, err := f.batch(ctx)
		if err != nil {
			return err
		}
		took = append(took, t.Seconds())
	}
	status := watched()
	after, err := d.Heap(ctx)
	if err != nil {
		return err
	}
	tenth := len(took) / 10
	early, late := rateOf(took[:tenth]), rateOf(took[len(took)-tenth:])
	b.Results.Add("queued at the start", Go, early)
	b.Results.Add("queued at the end", Go, late)
	b.Results.Add("queued bytes", Go, (after-before)/float64(batches*perBatch)-float64(len(f.script)+len("{}")))
	b.Results.Add("queued status p99", Go, status.Percentile(99))
	return nil
}

const perBatch = 1000

func rateOf(took stats.Sample) float64 {
	var sum float64
	for _, t := range took {
		sum += t
	}
	return float64(len(took)*perBatch) / sum
}

// filler submits batches.
type filler struct {
	client *client.Client
	script string
}

func (f filler) task(work string) *task.Task {
	return &task.Task{ID: task.NewID(), ScriptPath: f.script, Function: work, Params: []byte("{}"), Type: task.CPUBound, Priority: task.DefaultPriority}
}

func (f filler) batch(ctx context.Context) (time.Duration, error) {
	tasks := make([]*task.Task, perBatch)
	for i := range tasks {
		tasks[i] = f.task("noop")
	}
	began := time.Now()
	answer, err := f.client.SubmitBatch(ctx, tasks)
	if err == nil && len(answer.Errors) > 0 {
		err = fmt.Errorf("task %d of a batch: %v", answer.Errors[0].Line, answer.Errors[0].Problem)
	}
	return time.Since(began), err
}

// watchStatus asks for the status all the time, and returns what ends that and returns
// how many milliseconds each answer took.
func watchStatus(ctx context.Context, d *cpulbd.Daemon) (end func() stats.Sample) {
	stop, done := make(chan struct{}), make(chan stats.Sample)
	go func() {
		var took stats.Sample
		for {
			select {
			case <-stop:
				done <- took
				return
			case <-time.After(20 * time.Millisecond):
			}
			began := time.Now()
			if _, err := d.Get(ctx, "/v1/status"); err == nil {
				took = append(took, time.Since(began).Seconds()*1000)
			}
		}
	}()
	return func() stats.Sample { close(stop); return <-done }
}
