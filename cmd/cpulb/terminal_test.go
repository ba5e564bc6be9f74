package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"syscall"
	"testing"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
	"cpulb/ipc/client"
	"cpulb/ipc/ipctest"
)

// unwritable is a stdout that can't be written.
type unwritable struct{ err error }

func (u unwritable) Write([]byte) (int, error) {
	return 0, &fs.PathError{Op: "write", Path: "/dev/stdout", Err: u.err}
}

func TestWhatCouldNotBeWrittenIsAFailure(t *testing.T) {
	administrator(t)
	for _, args := range [][]string{{"--version"}, {"--help"}, {"status"}, {"workers"}, {"tasks"}, {"run", ipctest.Echo}, {"submit", ipctest.Echo},
		{"map", ipctest.Echo}, {"batch", "-"}, {"completion", "bash"}} {
		for bad, code := range map[error]int{syscall.ENOSPC: exitFailed, syscall.EPIPE: exitNoReader} {
			var said strings.Builder
			got := run(t.Context(), args, newTerminal(strings.NewReader(`{"script_path":"/echo.py"}`), unwritable{bad}, &said))
			if got != code || (code == exitFailed) != strings.Contains(said.String(), bad.Error()) {
				t.Errorf("%v, %v: %d, %q", args, bad, got, said.String())
			}
		}
	}
}

func TestAnErrorOfTheDaemonNamesTheRemedy(t *testing.T) {
	for want, err := range map[string]error{
		"cpulb doctor looks for the cause": lost(fmt.Errorf("the daemon on /s hangs: %w", client.ErrNoAnswer), task.ID{}),
		"cpulb resume ends":                &api.Problem{Code: "draining", Status: 503},
		"cpulb doctor says who may":        fmt.Errorf("/s: %w", &net.OpError{Op: "dial", Err: syscall.EACCES}),
	} {
		var said bytes.Buffer
		if code := newTerminal(nil, &said, &said).report(err); code != exitFailed || !strings.Contains(said.String(), want) {
			t.Errorf("%v: %d %q, want %q", err, code, said.String(), want)
		}
	}
	var said bytes.Buffer
	newTerminal(nil, &said, &said).report(&net.OpError{Op: "listen", Err: syscall.EACCES}) // which is not about the daemon
	if strings.Contains(said.String(), "doctor") {
		t.Error(said.String())
	}
	if err := lost(client.ErrNoAnswer, task.ID{}); !strings.Contains(err.Error(), "if it had accepted the task") {
		t.Error(err)
	}
}
