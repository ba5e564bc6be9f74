package client_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
	"cpulb/ipc/client"
	"cpulb/ipc/ipctest"
)

// numbered yields tasks whose params are their numbers, and counts how many were taken.
func numbered(n int, taken *atomic.Int64) iter.Seq[*task.Task] {
	return func(yield func(*task.Task) bool) {
		for i := range n {
			taken.Add(1)
			x := newTask(ipctest.Echo)
			x.Params = fmt.Append(nil, i)
			if !yield(x) {
				return
			}
		}
	}
}

func TestMapYieldsInTheOrderOfTheTasksAndIsLazy(t *testing.T) {
	_, c, _ := serve(t)
	var taken atomic.Int64
	next := 0
	for r, err := range c.Map(t.Context(), numbered(500, &taken), client.MapOptions{InFlight: 7}) {
		if err != nil || string(r.Data) != fmt.Sprint(next) {
			t.Fatalf("%d: %+v %v", next, r, err)
		}
		if next++; taken.Load() > int64(next+7) {
			t.Fatalf("%d were taken when %d had been yielded", taken.Load(), next)
		}
	}
	if next != 500 {
		t.Errorf("%d of 500", next)
	}
	for r, err := range c.Map(t.Context(), numbered(0, &taken), client.MapOptions{}) {
		t.Errorf("of nothing: %+v %v", r, err)
	}
}

func TestMapYieldsAsTasksEndIfThatIsWanted(t *testing.T) {
	engine, c, _ := serve(t)
	first := newTask(ipctest.Held)
	rest := []*task.Task{newTask(ipctest.Echo), newTask(ipctest.Echo)}
	var order []task.ID
	for r, err := range c.Map(t.Context(), slices.Values(append([]*task.Task{first}, rest...)), client.MapOptions{AsCompleted: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if order = append(order, r.ID); len(order) == len(rest) {
			if err := engine.AwaitTasks(t.Context(), 3); err != nil { // the first may come last
				t.Fatal(err)
			}
			engine.End(first.ID, task.Result{Status: task.Completed})
		}
	}
	if len(order) != 3 || order[2] != first.ID {
		t.Errorf("%v", order)
	}
}

func TestATaskThatIsRefusedHasItsErrorInItsPlace(t *testing.T) {
	_, c, _ := serve(t)
	bad := newTask(ipctest.Missing)
	tasks := []*task.Task{newTask(ipctest.Echo), bad, newTask(ipctest.Raises)}
	var got []string
	for r, err := range c.Map(t.Context(), slices.Values(tasks), client.MapOptions{}) {
		var e *client.TaskError
		switch {
		case errors.As(err, &e):
			got = append(got, fmt.Sprint(e.Task == bad, errors.Is(err, task.ErrInvalid)))
		case err != nil:
			t.Error(err)
		default:
			got = append(got, r.Status.String())
		}
	}
	if !slices.Equal(got, []string{"completed", "true true", "failed"}) {
		t.Errorf("%q", got)
	}
}

// The sequence may be a file that somebody still writes.
func TestASequenceThatWaitsHoldsUpNoResult(t *testing.T) {
	_, c, _ := serve(t)
	more := make(chan *task.Task, 1)
	more <- newTask(ipctest.Echo)
	n := 0
	for _, err := range c.Map(t.Context(), func(yield func(*task.Task) bool) {
		for x := range more {
			if !yield(x) {
				return
			}
		}
	}, client.MapOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 3 {
			close(more)
		} else {
			more <- newTask(ipctest.Echo)
		}
	}
	if n != 3 {
		t.Errorf("%d of 3", n)
	}
}

func TestLeavingAMapCancelsWhatIsInFlight(t *testing.T) {
	for name, leave := range map[string]func(c *client.Client, tasks iter.Seq[*task.Task], engine *ipctest.Engine, n int) error{
		"break": func(c *client.Client, tasks iter.Seq[*task.Task], engine *ipctest.Engine, n int) error {
			for range c.Map(t.Context(), tasks, client.MapOptions{InFlight: n}) {
				return engine.AwaitTasks(t.Context(), n)
			}
			return errors.New("it yields nothing")
		},
		"the context's end": func(c *client.Client, tasks iter.Seq[*task.Task], engine *ipctest.Engine, n int) error {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			for _, err := range c.Map(ctx, tasks, client.MapOptions{InFlight: n}) {
				if errors.Is(err, context.Canceled) {
					return nil
				}
				if err := errors.Join(err, engine.AwaitTasks(t.Context(), n)); err != nil {
					return err
				}
				cancel()
			}
			return errors.New("it does not say why it ended")
		},
	} {
		engine, c, _ := serve(t)
		const n = 20
		var held []task.ID
		tasks := func(yield func(*task.Task) bool) {
			if !yield(newTask(ipctest.Echo)) {
				return
			}
			for {
				x := newTask(ipctest.Held)
				held = append(held, x.ID)
				if !yield(x) {
					return
				}
			}
		}
		if err := leave(c, tasks, engine, n); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		running := 0
		for v, err := range c.List(t.Context(), api.Filter{Statuses: []task.Status{task.Running}}) {
			if running++; err != nil {
				t.Fatal(err)
			}
			t.Errorf("%s: %s goes on", name, v.ID)
		}
	}
}

// However impatient the Client is: that is about daemons that are away.
func TestMapWaitsWhereThereIsNoRoom(t *testing.T) {
	engine := ipctest.New()
	c := newDaemons(t, engine).client(client.WithPatience(0))
	client.Hurry(c)
	for _, why := range []error{task.ErrQueueFull, api.ErrTooManyWatches, task.ErrNoSpace} {
		engine.Refuse(why)
		refused := engine.Refused()
		var taken atomic.Int64
		all := make(chan string, 1)
		go func() {
			text := ""
			for r, err := range c.Map(t.Context(), numbered(20, &taken), client.MapOptions{InFlight: 5}) {
				if err != nil {
					text += err.Error()
					break
				}
				text += string(r.Data) + " "
			}
			all <- text
		}()
		if err := engine.AwaitRefused(t.Context(), refused+8); err != nil { // so that some were refused again
			t.Fatal(err)
		}
		engine.Refuse(nil)
		if got := <-all; got != "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 " {
			t.Errorf("%v: %s", why, got)
		}
	}
}

// What passes is not what has become of a task: the Map ends with it.
func TestADrainThatLastsEndsAMap(t *testing.T) {
	engine := ipctest.New()
	c := newDaemons(t, engine).client(client.WithPatience(0))
	engine.Refuse(api.ErrDraining)
	var taken atomic.Int64
	n := 0
	for _, err := range c.Map(t.Context(), numbered(20, &taken), client.MapOptions{InFlight: 5}) {
		if n++; !errors.Is(err, api.ErrDraining) {
			t.Errorf("%v", err)
		}
	}
	if n != 1 {
		t.Errorf("it yields %d times", n)
	}
}

// A daemon that stops takes no more tasks, but still has those that it has.
func TestLeavingAMapOfADaemonThatStopsCancelsWhatItHas(t *testing.T) {
	engine := ipctest.New()
	d := newDaemons(t, engine)
	c := d.client()
	held := newTask(ipctest.Held)
	stopped := make(chan error, 1)
	for _, err := range c.Map(t.Context(), slices.Values([]*task.Task{newTask(ipctest.Echo), held}), client.MapOptions{}) {
		if err := errors.Join(err, engine.AwaitTasks(t.Context(), 2)); err != nil {
			t.Fatal(err)
		}
		go func() { stopped <- d.server.Shutdown(t.Context()) }()
		for client.TakesTasks(c) {
			runtime.Gosched()
		}
		break
	}
	if err := <-stopped; err != nil { // it waits for its tasks
		t.Error(err)
	}
}

func TestAMapEndsWithItsDaemon(t *testing.T) {
	engine := ipctest.New()
	d := newDaemons(t, engine)
	c := d.client(client.WithPatience(30 * time.Millisecond))
	n := 0
	for _, err := range c.Map(t.Context(), slices.Values([]*task.Task{newTask(ipctest.Echo), newTask(ipctest.Held), newTask(ipctest.Held)}), client.MapOptions{}) {
		if n++; n == 1 {
			if err := engine.AwaitTasks(t.Context(), 3); err != nil {
				t.Fatal(err)
			}
			d.end()
			defer d.begin(engine)
		} else if !errors.Is(err, client.ErrNoDaemon) {
			t.Errorf("%v", err)
		}
	}
	if n != 2 {
		t.Errorf("it yields %d times", n)
	}
}

func TestAMapGoesOnWithTheNextDaemon(t *testing.T) {
	engine := ipctest.New()
	d := newDaemons(t, engine)
	c := d.client()
	var taken atomic.Int64
	next := 0
	for r, err := range c.Map(t.Context(), numbered(300, &taken), client.MapOptions{InFlight: 50}) {
		if err != nil || string(r.Data) != fmt.Sprint(next) {
			t.Fatalf("%d: %+v %v", next, r, err)
		}
		if next++; next%100 == 50 {
			d.end()
			d.begin(engine)
		}
	}
	if next != 300 {
		t.Errorf("%d of 300", next)
	}
}

// As t.Fatal in the loop does, and whatever panics there.
func TestALoopThatDoesNotReturnCancelsWhatIsInFlight(t *testing.T) {
	for name, leave := range map[string]func(){"a panic": func() { panic("in the loop") }, "runtime.Goexit": runtime.Goexit} {
		engine, c, _ := serve(t)
		held := []*task.Task{newTask(ipctest.Held), newTask(ipctest.Held)}
		ended := make(chan any)
		go func() {
			defer func() { ended <- recover() }()
			for _, err := range c.Map(t.Context(), slices.Values(append([]*task.Task{newTask(ipctest.Echo)}, held...)), client.MapOptions{}) {
				if err := errors.Join(err, engine.AwaitTasks(t.Context(), 3)); err != nil {
					t.Error(err)
				}
				leave()
			}
		}()
		if got := <-ended; (got != nil) != (name == "a panic") {
			t.Errorf("%s: %v", name, got)
		}
		for _, x := range held {
			if r, err := c.Result(t.Context(), x.ID, time.Minute); err != nil || r.Status != task.Cancelled {
				t.Errorf("%s: %+v %v", name, r, err)
			}
		}
	}
}

// Nobody could recover from what happens on a goroutine of the client's.
func TestASequenceThatDoesNotReturnEndsTheLoopInTheSameWay(t *testing.T) {
	_, c, _ := serve(t)
	for name, leave := range map[string]func(){"a panic": func() { panic("in the sequence") }, "runtime.Goexit": runtime.Goexit} {
		for _, asCompleted := range []bool{false, true} {
			ended := make(chan any)
			n := 0
			go func() {
				defer func() { ended <- recover() }()
				for _, err := range c.Map(t.Context(), func(yield func(*task.Task) bool) {
					yield(newTask(ipctest.Echo))
					leave()
				}, client.MapOptions{AsCompleted: asCompleted}) {
					if n++; err != nil {
						t.Error(err)
					}
				}
				t.Errorf("%s: the loop goes on behind it", name)
			}()
			if got := <-ended; (got == "in the sequence") != (name == "a panic") || n != 1 {
				t.Errorf("%s: %v after %d results", name, got, n)
			}
		}
	}
}
