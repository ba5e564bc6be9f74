package main

import (
	"io/fs"
	"strings"
	"syscall"
	"testing"

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
