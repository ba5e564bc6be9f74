package client_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"cpulb/daemon/task"
	"cpulb/ipc/client"
	"cpulb/ipc/ipctest"
)

// Each restart comes an hour after the one before, so that who counts from the first has lost patience.
func TestACallThatOutlivesARestartIsAsPatientAtTheNext(t *testing.T) {
	for name, call := range map[string]func(context.Context, *client.Client, *task.Task, task.ID) error{
		"run": func(ctx context.Context, c *client.Client, x *task.Task, _ task.ID) error {
			_, err := c.Run(ctx, x)
			return err
		},
		"map": func(ctx context.Context, c *client.Client, x *task.Task, _ task.ID) (last error) {
			for _, last = range c.Map(ctx, func(yield func(*task.Task) bool) { yield(x) }, client.MapOptions{}) {
			}
			return last
		},
		"result": func(ctx context.Context, c *client.Client, x *task.Task, _ task.ID) error {
			_, err := c.Result(ctx, x.ID, 24*time.Hour)
			return err
		},
		"events": func(ctx context.Context, c *client.Client, x *task.Task, _ task.ID) (last error) {
			for _, last = range c.Events(ctx, x.ID, task.Cursor{}) {
			}
			return last
		},
		"batch results": func(ctx context.Context, c *client.Client, _ *task.Task, batch task.ID) (last error) {
			for _, last = range c.BatchResults(ctx, batch) {
			}
			return last
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			engine, x := ipctest.New(), newTask(ipctest.Held)
			d := newDaemons(t, engine)
			c := d.client()
			batch, err := c.SubmitBatch(t.Context(), []*task.Task{x})
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // else a call that never hears the daemon would wait for ever
			defer cancel()
			go func() { ended <- call(ctx, c, x, batch.ID) }()
			for range 3 {
				for !client.IsThere(c) {
					select {
					case err := <-ended:
						t.Fatal(err)
					default:
						runtime.Gosched()
					}
				}
				client.Later(c, time.Hour)
				d.end()
				for client.IsThere(c) {
					runtime.Gosched()
				}
				d.begin(engine)
			}
			engine.End(x.ID, task.Result{Status: task.Completed})
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}
