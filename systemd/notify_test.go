package systemd

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

// manager stands where systemd does: it owns the notify socket.
func manager(t *testing.T) *net.UnixConn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn := listen(t, path)
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "")
	t.Setenv("WATCHDOG_PID", "")
	return conn
}

func listen(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func receive(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	buf := make([]byte, 4096)
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

func newNotifier(t *testing.T) *Notifier {
	t.Helper()
	n, err := NewNotifier()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestManagerIsToldOfReadyStatusAndStopping(t *testing.T) {
	conn := manager(t)
	n := newNotifier(t)
	for _, c := range []struct {
		send func(string) error
		text string
		want string
	}{
		{n.Ready, "ready: 2 pools", "READY=1\nSTATUS=ready: 2 pools"},
		{n.Status, "3 tasks", "STATUS=3 tasks"},
		{n.Status, "a\nREADY=1", "STATUS=a READY=1"}, // no text makes a message of its own
		{n.Stopping, "", "STOPPING=1\nSTATUS="},
	} {
		if err := c.send(c.text); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, conn); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestChildrenInheritNothingOfSystemd(t *testing.T) {
	manager(t)
	t.Setenv("WATCHDOG_USEC", "1000000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	newNotifier(t)
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
		if value, ok := os.LookupEnv(name); ok {
			t.Errorf("%s=%s is still there", name, value)
		}
	}
}

func TestOutsideSystemdNothingIsSentAndNothingFails(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	n := newNotifier(t)
	if err := n.Ready("ready"); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	n.KeepAlive(ctx, func() bool { t.Error("asked for a sign of life"); return true }, func(err error) { t.Error(err) })
}

func TestManagerThatIsGoneIsAnError(t *testing.T) {
	conn := manager(t)
	n := newNotifier(t)
	conn.Close()
	if err := n.Ready("ready"); err == nil {
		t.Error("nobody listened, and Ready succeeded")
	}
}

func TestWatchdogIsFedAgainAndAgain(t *testing.T) {
	conn := manager(t)
	t.Setenv("WATCHDOG_USEC", "20000")
	n := newNotifier(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		n.KeepAlive(ctx, func() bool { return true }, func(err error) { t.Error(err) })
		close(ended)
	}()
	for range 3 {
		if got := receive(t, conn); got != "WATCHDOG=1" {
			t.Fatalf("got %q", got)
		}
	}
	cancel()
	<-ended
}

func TestSignOfLifeThatCouldNotBeSentIsToldAndTriedAgain(t *testing.T) {
	conn := manager(t)
	t.Setenv("WATCHDOG_USEC", "20000")
	n := newNotifier(t)
	conn.Close()
	if err := os.Remove(n.address); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	missed, ended := make(chan error), make(chan struct{})
	go func() {
		n.KeepAlive(ctx, func() bool { return true }, func(err error) {
			select {
			case missed <- err:
			case <-ctx.Done():
			}
		})
		close(ended)
	}()
	if err := <-missed; err == nil {
		t.Error("missed, and no reason told")
	}
	again := listen(t, n.address)
	go func() { // it may try once more before the manager is back
		for {
			select {
			case <-missed:
			case <-ctx.Done():
				return
			}
		}
	}()
	if got := receive(t, again); got != "WATCHDOG=1" {
		t.Errorf("got %q", got)
	}
	cancel()
	<-ended
}

func TestWatchdogIsNotFedWhileTheDaemonIsStuck(t *testing.T) {
	conn := manager(t)
	t.Setenv("WATCHDOG_USEC", "20000")
	n := newNotifier(t)
	ctx, cancel := context.WithCancel(t.Context())
	stuck, free := make(chan struct{}), make(chan struct{})
	ended := make(chan struct{})
	reached := sync.OnceFunc(func() { close(stuck) })
	go func() {
		n.KeepAlive(ctx, func() bool {
			reached()
			<-free
			return true
		}, func(err error) { t.Error(err) })
		close(ended)
	}()
	<-stuck
	if err := n.Status("first"); err != nil { // what comes first was sent first
		t.Fatal(err)
	}
	if got := receive(t, conn); got != "STATUS=first" {
		t.Errorf("got %q from a stuck daemon", got)
	}
	cancel()
	close(free)
	<-ended
}

func TestWatchdogIsNotFedWhileTheDaemonSaysThatItIsNotAlive(t *testing.T) {
	conn := manager(t)
	t.Setenv("WATCHDOG_USEC", "3000")
	n := newNotifier(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	asked := 0
	go func() {
		n.KeepAlive(ctx, func() bool {
			if asked++; asked == 3 { // what comes first was sent first
				if err := n.Status("after two"); err != nil {
					t.Error(err)
				}
			}
			return asked > 3
		}, func(err error) { t.Error(err) })
		close(ended)
	}()
	for _, want := range []string{"STATUS=after two", "WATCHDOG=1"} {
		if got := receive(t, conn); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	cancel()
	<-ended
}

func TestWatchdogIntervalThatIsNoNumberIsAnError(t *testing.T) {
	manager(t)
	t.Setenv("WATCHDOG_USEC", "soon")
	if _, err := NewNotifier(); err == nil {
		t.Error("accepted")
	}
}
