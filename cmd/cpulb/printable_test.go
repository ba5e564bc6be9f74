package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode"

	"cpulb/daemon/task"
	"cpulb/ipc"
	"cpulb/ipc/ipctest"

	"golang.org/x/sys/unix"
)

const steering = "\x1b]0;title\x07\x1b[2Jred\x9b31m\u009b31m\r\u202e\x7f"

// terminalPair returns a terminal, and a function that ends it and returns what was
// written to it.
func terminalPair(t *testing.T) (tty *os.File, shown func() string) {
	t.Helper()
	host, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { host.Close() })
	if err := unix.IoctlSetPointerInt(int(host.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Skip(err)
	}
	n, err := unix.IoctlGetInt(int(host.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Skip(err)
	}
	if tty, err = os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Skip(err)
	}
	read := make(chan string)
	go func() {
		var text bytes.Buffer
		_, _ = text.ReadFrom(host) // EIO, when the other end is closed
		read <- text.String()
	}()
	return tty, func() string { tty.Close(); return <-read }
}

// ended has a task that has ended with such text in every part of its result.
func ended(t *testing.T) (socket, id string) {
	t.Helper()
	engine := ipctest.New()
	socket, _ = ipctest.Serve(t, engine, ipc.Options{})
	got := cpulb(t.Context(), "", "--socket", socket, "submit", ipctest.Held, "--label", "a="+steering)
	id = strings.TrimSpace(got.stdout)
	parsed, err := task.ParseID(id)
	if err != nil {
		t.Fatalf("%+v: %v", got, err)
	}
	engine.End(parsed, task.Result{Status: task.Failed, Stdout: "said" + steering, Stderr: steering,
		Error: &task.Error{Type: "E" + steering, Message: steering, Traceback: "Traceback\n" + steering, Code: "exception"}})
	return socket, id
}

func TestNothingSteersTheTerminalOfWhoLooks(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	socket, id := ended(t)
	for _, args := range [][]string{{"result", id}, {"list"}, {"tasks", "--json"}, {"events", id}, {"logs", id}, {"logs", "--json", id}, {"status"}, {"status", "--json"}, {"workers"},
		{"schedules"}, {"result", steering}, {steering}, {"run", "/missing.py"}} {
		tty, shown := terminalPair(t)
		run(t.Context(), append([]string{"--socket", socket}, args...), newTerminal(strings.NewReader(""), tty, tty))
		text := strings.ReplaceAll(shown(), "\r\n", "\n") // which the terminal makes of a newline
		if text == "" || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) && r != '\n' && r != '\t' }) {
			t.Errorf("%q: %q", args, text)
		}
	}
}

func TestProgramsGetAScriptsOutputAsItIs(t *testing.T) {
	socket, id := ended(t)
	got := cpulb(t.Context(), "", "--socket", socket, "result", id)
	// Bytes that are not UTF-8 do not come over JSON.
	if want := strings.ToValidUTF8("said"+steering, "\uFFFD"); !strings.HasPrefix(got.err, want) {
		t.Errorf("%q", got.err)
	}
	_, why, _ := strings.Cut(got.err, "the task failed")
	if strings.ContainsAny(why, "\x1b\r\u009b") {
		t.Errorf("the traceback: %q", why)
	}
	listed := cpulb(t.Context(), "", "--socket", socket, "list", "--json")
	var view task.View
	if err := json.Unmarshal([]byte(listed.stdout), &view); err != nil || !strings.Contains(view.Labels["a"], "\u009b31m") {
		t.Errorf("%v: %s", err, listed.stdout)
	}
}

func TestNoTextOfACellMakesARow(t *testing.T) {
	var out bytes.Buffer
	w := table(&out)
	if err := row(w, "a\nb\tc", 1, "\x1b[A"); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if out.String() != "a\\u000ab\\u0009c  1  \\u001b[A\n" {
		t.Errorf("%q", out.String())
	}
}
