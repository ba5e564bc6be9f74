package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
	"cpulb/ipc"
	"cpulb/ipc/client"
	"cpulb/ipc/ipctest"
)

// daemons are one after the other on the same socket.
type daemons struct {
	*testing.T
	path   string
	server *ipc.Server
	ended  chan error
}

func newDaemons(t *testing.T, e *ipctest.Engine) *daemons {
	t.Helper()
	d := &daemons{T: t, path: ipctest.Folder(t) + "/s"}
	d.begin(e)
	t.Cleanup(d.end)
	return d
}

// begin begins one that has what e knows.
func (d *daemons) begin(e *ipctest.Engine) {
	d.Helper()
	l, err := ipc.Listen(ipc.ListenConfig{Path: d.path, Mode: 0o600})
	if err != nil {
		d.Fatal(err)
	}
	server, ended := ipc.NewServer(e, ipc.Options{BodyBytes: ipctest.BodyBytes}), make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	d.server, d.ended = server, ended
}

// end ends the one that is there, as a crash does.
func (d *daemons) end() {
	cut, cancel := context.WithCancel(context.Background())
	cancel()
	_ = d.server.Shutdown(cut)
	<-d.ended
}

func (d *daemons) client(options ...client.Option) *client.Client {
	c := client.New(d.path, options...)
	d.Cleanup(c.Close)
	return c
}

// outcomes collects what calls on goroutines of their own come to.
type outcomes struct {
	*testing.T
	all chan string
	n   int
}

func (o *outcomes) expect(name string, call func() (string, error)) {
	o.n++
	go func() {
		what, err := call()
		o.all <- fmt.Sprintf("%s: %s %v", name, what, err)
	}()
}

func (o *outcomes) sorted() (all []string) {
	for range o.n {
		all = append(all, <-o.all)
	}
	slices.Sort(all)
	return all
}

func TestCallsAboutTasksGoOnWithTheNextDaemon(t *testing.T) {
	engine := ipctest.New()
	d := newDaemons(t, engine)
	c := d.client()
	x, y, z := newTask(ipctest.Held), newTask(ipctest.Held), newTask(ipctest.Held)
	batch, err := c.SubmitBatch(t.Context(), []*task.Task{newTask(ipctest.Echo), y})
	if err != nil {
		t.Fatal(err)
	}
	o := &outcomes{T: t, all: make(chan string)}
	status := func(r *task.Result, err error) (string, error) {
		if err != nil {
			return "", err
		}
		return r.Status.String(), nil
	}
	begun := make(chan struct{}, 2)
	o.expect("run", func() (string, error) { return status(c.Run(t.Context(), x)) })
	o.expect("wait", func() (string, error) { return status(c.Wait(t.Context(), y.ID)) })
	o.expect("batch", func() (kinds string, err error) {
		for r, err := range c.BatchResults(t.Context(), batch.ID) {
			if err != nil {
				return kinds, err
			}
			if kinds += r.Status.String() + " "; r.ID != y.ID {
				begun <- struct{}{}
			}
		}
		return kinds, nil
	})
	o.expect("events", func() (kinds string, err error) {
		for ev, err := range c.Events(t.Context(), y.ID, task.Cursor{}) {
			if err != nil {
				return kinds, err
			}
			if kinds += string(ev.Kind) + " "; ev.Kind == task.EventLog {
				begun <- struct{}{}
			}
		}
		return kinds, nil
	})
	engine.Tell(y.ID, task.Event{Kind: task.EventLog, Level: "info", Message: "before"})
	<-begun
	<-begun
	if err := engine.AwaitTasks(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	d.end()
	o.expect("submit while it is away", func() (string, error) {
		_, err := c.Submit(t.Context(), z) // which may have ended when it is answered
		return "accepted", err
	})
	d.begin(engine)
	if err := engine.AwaitTasks(t.Context(), 4); err != nil {
		t.Fatal(err)
	}
	half := 0.5
	engine.Tell(y.ID, task.Event{Kind: task.EventProgress, Fraction: &half})
	for _, held := range []*task.Task{x, y, z} {
		engine.End(held.ID, task.Result{Status: task.Completed})
	}
	want := []string{"batch: completed completed  <nil>", "events: log progress result  <nil>", "run: completed <nil>", "submit while it is away: accepted <nil>", "wait: completed <nil>"}
	if got := o.sorted(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestATaskThatTheNextDaemonDoesNotKnowRunsThereUnlessItMustNotRunTwice(t *testing.T) {
	first, second := ipctest.New(), ipctest.New()
	d := newDaemons(t, first)
	c := d.client()
	again, never := newTask(ipctest.Held), newTask(ipctest.Held)
	never.Extra = &task.Extras{OnWorkerLost: task.Fail}
	o := &outcomes{T: t, all: make(chan string)}
	for name, x := range map[string]*task.Task{"again": again, "never": never} {
		o.expect(name, func() (string, error) {
			_, err := c.Run(t.Context(), x)
			return fmt.Sprint(errors.Is(err, client.ErrLost)), nil
		})
	}
	if err := first.AwaitTasks(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	d.end()
	d.begin(second)
	if err := second.AwaitTasks(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	second.End(again.ID, task.Result{Status: task.Completed})
	if got := o.sorted(); !slices.Equal(got, []string{"again: false <nil>", "never: true <nil>"}) {
		t.Errorf("%q", got)
	}
}

func TestADaemonThatStaysAwayIsWaitedForNoLongerThanOneIsPatient(t *testing.T) {
	d := newDaemons(t, ipctest.New())
	c := d.client(client.WithPatience(20 * time.Millisecond))
	if _, err := c.Run(t.Context(), newTask(ipctest.Echo)); err != nil {
		t.Fatal(err)
	}
	d.end()
	defer d.begin(ipctest.New()) // for who ends it
	if _, err := c.Run(t.Context(), newTask(ipctest.Echo)); !errors.Is(err, client.ErrNoDaemon) {
		t.Errorf("run: %v", err)
	}
	if _, err := c.Submit(t.Context(), newTask(ipctest.Echo)); !errors.Is(err, client.ErrNoDaemon) {
		t.Errorf("submit: %v", err)
	}
	patient := d.client(client.WithPatience(time.Hour))
	if _, err := patient.Run(t.Context(), newTask(ipctest.Echo)); !errors.Is(err, client.ErrNoDaemon) {
		t.Errorf("the first call of a client: %v", err)
	}
	enough := errors.New("enough")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Millisecond, enough)
	defer cancel()
	c = d.client()
	d.begin(ipctest.New())
	if _, err := c.Run(t.Context(), newTask(ipctest.Echo)); err != nil {
		t.Fatal(err)
	}
	d.end()
	if _, err := c.Run(ctx, newTask(ipctest.Echo)); !errors.Is(err, enough) && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("until the context's end: %v", err)
	}
}

// It does so no longer when a task runs again, however long that takes.
func TestACallSaysThatItWaitsForTheNextDaemonAndForHowLong(t *testing.T) {
	d := newDaemons(t, ipctest.New())
	c := d.client()
	if _, err := c.Run(t.Context(), newTask(ipctest.Echo)); err != nil {
		t.Fatal(err)
	}
	if _, why := c.Waits(); why != nil {
		t.Errorf("while nothing waits: %v", why)
	}
	d.end()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := c.Run(ctx, newTask(ipctest.Held))
		ended <- err
	}()
	for since, why := c.Waits(); !errors.Is(why, client.ErrNoDaemon) || since.After(time.Now()); since, why = c.Waits() {
		if t.Context().Err() != nil {
			t.Fatal("it does not say that it waits")
		}
		runtime.Gosched()
	}
	next := ipctest.New()
	d.begin(next)
	if err := next.AwaitTasks(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if _, why := c.Waits(); why != nil {
		t.Errorf("while the task runs: %v", why)
	}
	cancel()
	<-ended
}

// A daemon that is restarted in order refuses tasks before it ends.
func TestADaemonThatStopsIsWaitedForAsOneThatHasGone(t *testing.T) {
	first, second := ipctest.New(), ipctest.New()
	d := newDaemons(t, first)
	c := d.client()
	if _, err := c.Run(t.Context(), newTask(ipctest.Echo)); err != nil {
		t.Fatal(err)
	}
	refusing := d.client(client.WithPatience(0))
	first.Stop()
	if _, err := refusing.Run(t.Context(), newTask(ipctest.Echo)); !errors.Is(err, api.ErrDraining) {
		t.Fatal(err)
	}
	o := &outcomes{T: t, all: make(chan string)}
	o.expect("run", func() (string, error) { _, err := c.Run(t.Context(), newTask(ipctest.Echo)); return "", err })
	o.expect("submit", func() (string, error) { _, err := c.Submit(t.Context(), newTask(ipctest.Echo)); return "", err })
	d.end()
	d.begin(second)
	if got := o.sorted(); !slices.Equal(got, []string{"run:  <nil>", "submit:  <nil>"}) {
		t.Errorf("%q", got)
	}
}

func TestAClosedClientConnectsNoMore(t *testing.T) {
	engine := ipctest.New()
	d := newDaemons(t, engine)
	c := d.client()
	o := &outcomes{T: t, all: make(chan string)}
	o.expect("run", func() (string, error) {
		_, err := c.Run(t.Context(), newTask(ipctest.Held))
		return fmt.Sprint(errors.Is(err, client.ErrClosed)), nil
	})
	if err := engine.AwaitTasks(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if got := o.sorted(); got[0] != "run: true <nil>" {
		t.Errorf("%q", got)
	}
}

// A connection that was kept is dead when the call has arrived: nobody can say whether it was
// carried out.
func TestWhatIsToHappenOnceIsSentOnce(t *testing.T) {
	l, socket := ipctest.Listen(t)
	var kept, sent atomic.Int64
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			kept.Add(1)
			_, _ = io.WriteString(w, "{}")
			return
		}
		sent.Add(1)
		panic(http.ErrAbortHandler)
	})}
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	c := client.New(socket, client.WithPatience(0))
	defer c.Close()
	never := newTask(ipctest.Echo)
	never.Extra = &task.Extras{OnWorkerLost: task.Fail}
	for name, call := range map[string]func() error{
		"submit": func() error { _, err := c.Submit(t.Context(), never); return err },
		"batch": func() error {
			_, err := c.SubmitBatch(t.Context(), []*task.Task{newTask(ipctest.Echo), never})
			return err
		},
		"swap":     func() error { _, err := c.Swap(t.Context(), "python", api.SwapRequest{Command: "/x"}, 0); return err },
		"rollback": func() error { _, err := c.Rollback(t.Context(), "python", 0); return err },
		"rerun":    func() error { _, err := c.Rerun(t.Context(), never.ID); return err },
		"restart":  func() error { return c.RestartWorker(t.Context(), "cpu-0") },
	} {
		if _, err := c.Status(t.Context()); err != nil { // a connection that is kept
			t.Fatal(err)
		}
		sent.Store(0)
		if err := call(); err == nil || sent.Load() != 1 {
			t.Errorf("%s: sent %d times, %v", name, sent.Load(), err)
		}
	}
}

// A connection that nobody has used for a while is dead only when it is written to.
func TestATaskThatWasNeverWrittenIsSentThoughItMustNotRunTwice(t *testing.T) {
	d := newDaemons(t, ipctest.New())
	c := d.client()
	for i := range 20 {
		x := newTask(ipctest.Echo)
		x.Extra = &task.Extras{OnWorkerLost: task.Fail}
		if r, err := c.Run(t.Context(), x); err != nil || r.Status != task.Completed {
			t.Fatalf("after %d restarts: %v", i, err)
		}
		d.end()
		d.begin(ipctest.New())
	}
}
