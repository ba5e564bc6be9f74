package fleet_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
	"cpulb/plugins"
)

// outputOf is what a late reader of a task is shown of its output.
func outputOf(f *daemontest.Farm, id task.ID) string {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.Context(), time.Millisecond)
	defer cancel()
	events, err := f.Events(ctx, daemontest.Who(), id, task.Cursor{})
	if err != nil {
		f.Fatal(err)
	}
	var all []string
	for ev, err := range events {
		if err != nil {
			break
		}
		if ev.Kind == task.EventOutput {
			all = append(all, fmt.Sprintf("%s@%d %s", ev.Stream, *ev.Offset, ev.Text))
		}
	}
	return strings.Join(all, ", ")
}

// What comes of a task's output says where it belongs, and has no more than its Result can have, whatever
// the executor sends. Each attempt begins anew.
func TestOutputIsNumberedByBytesAndBounded(t *testing.T) {
	c := daemontest.One(1, 1)
	c.Limits.OutputBytes = 10
	daemontest.On(t, c, func(f *daemontest.Farm) {
		var id task.ID
		print := func(p *fleettest.Process, to plugins.Stream, texts ...string) {
			for _, text := range texts {
				says(f, p, 0, plugins.EventOutput, func(ev *plugins.Event) { ev.Stream, ev.Text = to, text })
			}
		}
		f.Launcher.NoClaims()
		f.Ready("p-0").Die("signal: killed")
		f.Pass(time.Second)
		p := f.Ready("p-0")
		p.Pause()
		id = f.Submit(fleettest.Echo)
		synctest.Wait()
		print(p, plugins.Stdout, "a€", "bc")
		print(p, plugins.Stderr, "oops")
		print(p, plugins.Stdout, "de€", "f", "g")
		if got, want := outputOf(f, id), "stdout@0 a€, stdout@4 bc, stderr@0 oops, stdout@6 de"; got != want {
			t.Errorf("%s, not %s", got, want)
		}
		f.Are(task.Running, id)
		p.Die("signal: killed")
		f.Pass(time.Minute)
		f.Ends("completed", 2, id)
		if got := outputOf(f, id); got != "" {
			t.Errorf("after the Result: %s", got)
		}
	})
}
