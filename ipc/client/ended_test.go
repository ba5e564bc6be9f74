package client_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
	"cpulb/ipc/client"
	"cpulb/ipc/ipctest"
)

// calls are some of each kind.
func calls(c *client.Client, id task.ID) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Run":    func(ctx context.Context) error { _, err := c.Run(ctx, newTask(ipctest.Held)); return err },
		"Submit": func(ctx context.Context) error { _, err := c.Submit(ctx, newTask(ipctest.Held)); return err },
		"Wait":   func(ctx context.Context) error { _, err := c.Wait(ctx, id); return err },
		"Result": func(ctx context.Context) error { _, err := c.Result(ctx, id, time.Hour); return err },
		"Cancel": func(ctx context.Context) error { _, err := c.Cancel(ctx, id); return err },
		"Rerun":  func(ctx context.Context) error { _, err := c.Rerun(ctx, id); return err },
		"Status": func(ctx context.Context) error { _, err := c.Status(ctx); return err },
		"OpenStream": func(ctx context.Context) error {
			_, err := c.OpenStream(ctx)
			return err
		},
		"Events": func(ctx context.Context) (last error) {
			for _, last = range c.Events(ctx, id, task.Cursor{}) {
			}
			return last
		},
		"List": func(ctx context.Context) (last error) {
			for _, last = range c.List(ctx, api.Filter{}) {
			}
			return last
		},
	}
}

// holds runs call until its context ends, once it has begun to wait, and checks what it returns.
func holds(t *testing.T, name string, begun func() error, call func(context.Context) error) {
	t.Helper()
	why := errors.New("it was not needed any longer")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	ended := make(chan error, 1)
	go func() { ended <- call(ctx) }()
	if err := begun(); err != nil {
		t.Fatal(err)
	}
	cancel(why)
	if err := <-ended; !errors.Is(err, context.Canceled) || !errors.Is(err, why) {
		t.Errorf("%s: %v", name, err)
	}
	late, stop := context.WithDeadlineCause(t.Context(), time.Now(), why)
	defer stop()
	if err := call(late); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, why) {
		t.Errorf("%s after the deadline: %v", name, err)
	}
}

func TestTheErrorOfAContextMatchesItAndItsCause(t *testing.T) {
	l, socket := ipctest.Listen(t)
	asked := make(chan error, 1)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close() // nobody answers before
			if _, err := conn.Read(make([]byte, 1)); err == nil {
				asked <- nil
			}
		}
	}()
	c := client.New(socket)
	defer c.Close()
	for name, call := range calls(c, task.NewID()) {
		holds(t, "without an answer, "+name, func() error { return <-asked }, call)
	}
}

func TestTheErrorOfAContextMatchesItWhileATaskRuns(t *testing.T) {
	engine, c, _ := serve(t)
	s := openStream(t, c)
	tasks := 0
	another := func() error {
		tasks++
		return engine.AwaitTasks(t.Context(), tasks)
	}
	holds(t, "Run", another, calls(c, task.ID{})["Run"])
	holds(t, "Stream.Do", another, func(ctx context.Context) error { _, err := s.Do(ctx, newTask(ipctest.Held)); return err })
	holds(t, "Map", another, func(ctx context.Context) (last error) {
		for _, last = range c.Map(ctx, slices.Values([]*task.Task{newTask(ipctest.Held)}), client.MapOptions{}) {
		}
		return last
	})
}

// A restart is waited for, and the daemon does not come back.
func TestTheErrorOfAContextMatchesItWhileTheDaemonIsAway(t *testing.T) {
	l, socket := ipctest.Listen(t)
	c := client.New(socket)
	defer c.Close()
	id := task.NewID()
	conns := make(chan net.Conn, 1)
	go func() {
		conn, err := l.Accept()
		if err == nil { // the request: a connection that ends before it would be one that was idle
			_, _ = conn.Read(make([]byte, 4096))
		}
		conns <- conn
	}()
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() { _, err := c.Task(ctx, id); ended <- err }()
	(<-conns).Close()
	l.Close()
	why := errors.New("enough")
	cancel(why)
	if err := <-ended; !errors.Is(err, context.Canceled) || !errors.Is(err, why) {
		t.Error(err)
	}
}

func TestANilTaskIsAnError(t *testing.T) {
	_, c, _ := serve(t)
	s := openStream(t, c)
	for name, call := range map[string]func() error{
		"Run":    func() error { _, err := c.Run(t.Context(), nil); return err },
		"Submit": func() error { _, err := c.Submit(t.Context(), nil); return err },
		"SubmitBatch": func() error {
			_, err := c.SubmitBatch(t.Context(), []*task.Task{newTask(ipctest.Echo), nil})
			return err
		},
		"Stream.Do":     func() error { _, err := s.Do(t.Context(), nil); return err },
		"Stream.Submit": func() error { _, err := s.Submit(t.Context(), nil); return err },
	} {
		if err := call(); !errors.Is(err, task.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	n := 0
	for r, err := range c.Map(t.Context(), slices.Values([]*task.Task{nil, newTask(ipctest.Echo)}), client.MapOptions{}) {
		var of *client.TaskError
		if first := n == 0; first != (errors.As(err, &of) && errors.Is(err, task.ErrInvalid) && of.Error() != "") || first != (r == nil) {
			t.Errorf("%d: %+v %v", n, r, err)
		}
		n++
	}
	if n != 2 {
		t.Errorf("%d of 2", n)
	}
}

func TestADaemonThatHangsIsNotWaitedFor(t *testing.T) {
	l, socket := ipctest.Listen(t)
	defer l.Close() // what connects is not even accepted
	c := client.New(socket, client.WithAnswerTimeout(10*time.Millisecond))
	defer c.Close()
	all := calls(c, task.NewID())
	all["Result"] = func(ctx context.Context) error { _, err := c.Result(ctx, task.NewID(), 0); return err }
	delete(all, "OpenStream") // which is not one of these calls
	for name, call := range all {
		if err := call(t.Context()); !errors.Is(err, client.ErrNoAnswer) || errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), socket) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
