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
		command := exec.CommandContext(t.Context(), os.Args[0], append([]string{"--socket", socket}, c.args...)...)
		command.Env = append(os.Environ(), asCommand+"=1")
		command.Stdin = strings.NewReader("1\n2\n")
		said, err := command.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		for range c.tasks {
			<-came
		}
		lines := bufio.NewScanner(said)
		for _, want := range []string{c.first, c.last} {
			_ = command.Process.Signal(os.Interrupt)
			if !lines.Scan() || !strings.Contains(lines.Text(), want) {
				t.Errorf("%s: %q, want %q", name, lines.Text(), want)
			}
		}
		var exit *exec.ExitError
		err = command.Wait()
		if status, ok := command.ProcessState.Sys().(syscall.WaitStatus); !errors.As(err, &exit) || !ok || status.Signal() != syscall.SIGINT {
			t.Errorf("%s: %v, not by the signal", name, err)
		}
	}
}
