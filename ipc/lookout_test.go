package ipc_test

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cpulb/ipc"
	"cpulb/ipc/ipctest"
)

// echo sends back what clients send until l is closed.
func echo(t *testing.T, l net.Listener) {
	t.Helper()
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c) // until the client has gone
			}()
		}
	}()
}

func connect(t *testing.T, path string) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func answers(t *testing.T, c net.Conn) {
	t.Helper()
	b := []byte{'x'}
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(b); err != nil {
		t.Fatal(err)
	}
}

func TestASocketFileThatIsRemovedIsMadeAgainAndNoClientNotices(t *testing.T) {
	l, path := ipctest.Listen(t)
	echo(t, l)
	look := ipc.NewLookout(l)
	if again, err := look.Look(); again || err != nil {
		t.Fatal(again, err)
	}
	c := connect(t, path)
	answers(t, c)
	for _, gone := range []func() error{
		func() error { return os.Remove(path) },
		func() error { return os.Rename(path, path+".old") },
		func() error { leaveStale(t, path+".stale"); return os.Rename(path+".stale", path) },
	} {
		if err := gone(); err != nil {
			t.Fatal(err)
		}
		if again, err := look.Look(); !again || err != nil {
			t.Fatal(again, err)
		}
		answers(t, c)
		answers(t, connect(t, path))
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
		if again, err := look.Look(); again || err != nil {
			t.Fatal(again, err)
		}
		answers(t, c)
	}
	l.Close()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket that was made again is left: %v", err)
	}
}

// Who had connected to the socket of before is accepted, though nobody had come to it.
func TestWhoWaitsToBeAcceptedIsNotCutOff(t *testing.T) {
	l, path := ipctest.Listen(t)
	var waiting []net.Conn
	for range 20 {
		waiting = append(waiting, connect(t, path))
	}
	look := ipc.NewLookout(l)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if again, err := look.Look(); !again || err != nil {
		t.Fatal(again, err)
	}
	echo(t, l)
	for _, c := range waiting {
		answers(t, c)
	}
}

func TestAFolderThatIsRemovedIsSaidAndWaitedFor(t *testing.T) {
	l, path := ipctest.Listen(t)
	echo(t, l)
	look := ipc.NewLookout(l)
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	if again, err := look.Look(); again || err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Fatal(again, err)
	}
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if again, err := look.Look(); !again || err != nil {
		t.Fatal(again, err)
	}
	answers(t, connect(t, path))
}

func TestAnothersSocketAtThePathIsLeftAloneAndSaid(t *testing.T) {
	l, path := ipctest.Listen(t)
	echo(t, l)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	other, err := ipc.Listen(ipc.ListenConfig{Path: path, Mode: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	echo(t, other)
	look := ipc.NewLookout(l)
	if again, err := look.Look(); again || !errors.Is(err, ipc.ErrInUse) {
		t.Fatal(again, err)
	}
	if again, err := ipc.NewLookout(other).Look(); again || err != nil {
		t.Fatal(again, err)
	}
	other.Close()
	if again, err := look.Look(); !again || err != nil {
		t.Fatal(again, err)
	}
	if err := errors.Join(os.Remove(path), os.WriteFile(path, []byte("precious"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if again, err := look.Look(); again || err == nil || !strings.Contains(err.Error(), "left alone") {
		t.Fatal(again, err)
	}
}

// A socket that systemd has made can't be made again by the daemon.
func TestASocketThatWasHandedOverIsOnlySpokenOf(t *testing.T) {
	path := filepath.Join(ipctest.Folder(t), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	echo(t, l)
	look := ipc.NewLookout(l)
	if again, err := look.Look(); again || err != nil {
		t.Fatal(again, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if again, err := look.Look(); again || err == nil || !strings.Contains(err.Error(), "systemctl restart cpulbd.socket") {
		t.Fatal(again, err)
	}
}

func TestAClosedSocketIsNotMadeAgain(t *testing.T) {
	l, path := ipctest.Listen(t)
	look := ipc.NewLookout(l)
	l.Close()
	if again, err := look.Look(); again || !errors.Is(err, net.ErrClosed) {
		t.Fatal(again, err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}
}
