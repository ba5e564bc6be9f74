package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// asCommand has this program be cpulb, for tests that send it signals.
const asCommand = "CPULB_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	os.Exit(m.Run())
}

// deaf listens as a daemon that takes tasks and answers nothing more. On each connection that
// brings a task it sends once that is there.
func deaf(t *testing.T) (socket string, came <-chan struct{}) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	tasks := make(chan struct{}, 100)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				in := bufio.NewReader(conn)
				if r, err := http.ReadRequest(in); err != nil || r.URL.Path != "/v1/stream" {
					_, _ = in.ReadByte() // until the command has gone
					return
				}
				_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: cpulb\r\n\r\n")
				for {
					line, err := in.ReadString('\n')
					if err != nil {
						return
					}
					if strings.Contains(line, `"submit"`) {
						tasks <- struct{}{}
					}
				}
			}()
		}
	}()
	return socket, tasks
}

func TestASecondInterruptSaysWhatGoesOn(t *testing.T) {
	for name, c := range map[string]struct {
		args        []string
		tasks       int
		first, last string
	}{
		"run": {[]string{"run", "/x.py"}, 1, "cpulb: cancelling task ", " cancels it, cpulb result "},
		"map": {[]string{"map", "/x.py"}, 2, "cpulb: cancelling 2 tasks; ", "cpulb: tasks of this map may go on; cpulb cancel --label cpulb.map="},
	} {
		socket, came := deaf(t)
		args := append([]string{os.Args[0], "--socket", socket}, c.args...)
		status := interruptedTwice(t, args, c.tasks, came, c.first, c.last)
		if status.Signal() != syscall.SIGINT {
			t.Errorf("%s: %v, not by the signal", name, status)
		}
		// A shell script's command with & begins with SIGINT ignored.
		socket, came = deaf(t)
		args = append([]string{"sh", "-c", `trap "" INT; exec "$0" "$@"`, os.Args[0], "--socket", socket}, c.args...)
		status = interruptedTwice(t, args, c.tasks, came, c.first, c.last)
		if status.ExitStatus() != 128+int(syscall.SIGINT) {
			t.Errorf("%s that began with it ignored: %v", name, status)
		}
	}
}

// interruptedTwice runs a command, interrupts it once tasks have come and after its first line, and
// returns how it has ended.
func interruptedTwice(t *testing.T, args []string, tasks int, came <-chan struct{}, first, last string) syscall.WaitStatus {
	t.Helper()
	command := exec.CommandContext(t.Context(), args[0], args[1:]...)
	command.Env = append(os.Environ(), asCommand+"=1")
	command.Stdin = strings.NewReader("1\n2\n")
	said, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	for range tasks {
		<-came
	}
	lines := bufio.NewScanner(said)
	for _, want := range []string{first, last} {
		_ = command.Process.Signal(os.Interrupt)
		if !lines.Scan() || !strings.Contains(lines.Text(), want) {
			t.Errorf("%q, want %q", lines.Text(), want)
		}
	}
	var exit *exec.ExitError
	if err := command.Wait(); !errors.As(err, &exit) {
		t.Error(err)
	}
	return command.ProcessState.Sys().(syscall.WaitStatus)
}
