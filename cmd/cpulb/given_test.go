package main

import (
	"io"
	"strings"
	"testing"

	"cpulb/daemon/task"
	"cpulb/ipc"
	"cpulb/ipc/ipctest"

	"github.com/alecthomas/kong"
)

// A script that says --batch "$BATCH" may have no such variable.
func TestNoFlagAndNoArgumentMayBeEmpty(t *testing.T) {
	app, err := kong.New(&arguments{}, kong.Name("cpulb"), kong.Writers(io.Discard, io.Discard), vars())
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("CPULB_SOCKET", "/nonexistent/socket") // nothing gets as far
	refused := func(name string, args ...string) {
		t.Helper()
		if got := cpulb(t.Context(), "", args...); got.code != exitUsage || !strings.Contains(got.err, name+": it is empty") {
			t.Errorf("cpulb %q: %+v", args, got)
		}
	}
	n := 0
	var each func(node *kong.Node, command []string)
	each = func(node *kong.Node, command []string) {
		for _, f := range node.Flags {
			if !f.IsBool() {
				n++
				refused("--"+f.Name, append(command, "--"+f.Name, "")...)
				refused("--"+f.Name, append(command, "--"+f.Name+"=")...)
			}
		}
		if len(node.Positional) > 0 && !node.Passthrough {
			refused(node.Positional[0].ShortSummary(), append(command, "")...)
		}
		for _, child := range node.Children {
			each(child, append(command, child.Name))
		}
	}
	each(app.Model.Node, nil)
	if n < 40 {
		t.Errorf("only %d flags", n)
	}
	if got := cpulb(t.Context(), "", "run", "/echo.py", "--env", "A=1", "--env="); got.code != exitUsage {
		t.Errorf("the second of a repeated flag: %+v", got)
	}
}

func TestAnEmptyFilterCancelsNothing(t *testing.T) {
	engine := ipctest.New()
	socket, _ := ipctest.Serve(t, engine, ipc.Options{})
	t.Setenv("CPULB_SOCKET", socket)
	id := strings.TrimSpace(cpulb(t.Context(), "", "submit", ipctest.Held).stdout)
	for _, args := range [][]string{{"--status=running", "--batch="}, {"--status", "running", "--label", ""}, {"--status", "", "--label=a=b"}, {"--status=,"}} {
		if got := cpulb(t.Context(), "", append([]string{"cancel"}, args...)...); got.code != exitUsage {
			t.Errorf("%q: %+v", args, got)
		}
	}
	if got := cpulb(t.Context(), "", "tasks", "--status="+task.Running.String()); !strings.Contains(got.stdout, id) {
		t.Errorf("it was cancelled: %+v", got)
	}
}

func TestAFlagStandsInForAnEmptyVariable(t *testing.T) {
	socket, _ := ipctest.Serve(t, ipctest.New(), ipc.Options{})
	t.Setenv("CPULB_SOCKET", "")
	if got := cpulb(t.Context(), "", "status"); got.code != exitUsage || !strings.Contains(got.err, "CPULB_SOCKET is empty") {
		t.Errorf("%+v", got)
	}
	if got := cpulb(t.Context(), "", "--socket", socket, "schedules"); got.code != exitOK {
		t.Errorf("%+v", got)
	}
}
