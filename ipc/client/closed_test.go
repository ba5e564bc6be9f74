package client_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
	"cpulb/ipc"
	"cpulb/ipc/client"
	"cpulb/ipc/ipctest"
)

func TestEachCallAfterCloseSaysSo(t *testing.T) {
	socket, _ := ipctest.Serve(t, ipctest.New(), ipc.Options{})
	calls := map[string]func(ctx context.Context, c *client.Client) error{
		"Submit": func(ctx context.Context, c *client.Client) error {
			_, err := c.Submit(ctx, newTask(ipctest.Held))
			return err
		},
		"Run": func(ctx context.Context, c *client.Client) error {
			_, err := c.Run(ctx, newTask(ipctest.Held))
			return err
		},
		"Task":        func(ctx context.Context, c *client.Client) error { _, err := c.Task(ctx, task.NewID()); return err },
		"Wait":        func(ctx context.Context, c *client.Client) error { _, err := c.Wait(ctx, task.NewID()); return err },
		"Rerun":       func(ctx context.Context, c *client.Client) error { _, err := c.Rerun(ctx, task.NewID()); return err },
		"Status":      func(ctx context.Context, c *client.Client) error { _, err := c.Status(ctx); return err },
		"OpenStream":  func(ctx context.Context, c *client.Client) error { _, err := c.OpenStream(ctx); return err },
		"SubmitBatch": func(ctx context.Context, c *client.Client) error { _, err := c.SubmitBatch(ctx, nil); return err },
		"Events": func(ctx context.Context, c *client.Client) (last error) {
			for _, last = range c.Events(ctx, task.NewID(), task.Cursor{}) {
			}
			return last
		},
		"List": func(ctx context.Context, c *client.Client) (last error) {
			for _, last = range c.List(ctx, api.Filter{}) {
			}
			return last
		},
		"Map": func(ctx context.Context, c *client.Client) (last error) {
			for _, last = range c.Map(ctx, slices.Values([]*task.Task{newTask(ipctest.Held)}), client.MapOptions{}) {
			}
			return last
		},
		"Transport": func(ctx context.Context, c *client.Client) error {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://cpulb/v1/status", http.NoBody)
			if err != nil {
				return err
			}
			answer, err := c.Transport().RoundTrip(req)
			if err == nil {
				answer.Body.Close()
			}
			return err
		},
	}
	for _, connects := range []bool{false, true} {
		c := client.New(socket)
		if connects {
			if _, err := c.Status(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		c.Close()
		c.Close()
		for name, call := range calls {
			if err := call(t.Context(), c); !errors.Is(err, client.ErrClosed) {
				t.Errorf("%s, connected before: %v: %v", name, connects, err)
			}
		}
	}
}

func TestASocketWithTooLongAPathIsSaidWithTheRemedy(t *testing.T) {
	c := client.New("/" + strings.Repeat("x", 200))
	defer c.Close()
	_, err := c.Status(t.Context())
	if !errors.Is(err, client.ErrNoDaemon) || !strings.Contains(err.Error(), "has 201 bytes, and a socket's may have at most 107: use a shorter one") {
		t.Error(err)
	}
}
