package systemd

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestMain lets the test binary be the service that systemd starts: sockets come
// as descriptors from 3 on, and LISTEN_PID names a process that must exist first.
func TestMain(m *testing.M) {
	if os.Getenv("CPULB_TEST_SERVICE") == "" {
		status := m.Run()
		removePrograms()
		os.Exit(status)
	}
	os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
	if err := acceptOne(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// acceptOne answers one client of the inherited socket with what the environment
// still says of systemd.
func acceptOne() error {
	l, err := Listener()
	if err != nil || l == nil {
		return fmt.Errorf("listener %v: %w", l, err)
	}
	conn, err := l.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "%s%s%s", os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDNAMES"))
	return errors.Join(err, l.Close())
}

// service starts the test binary as systemd would, with these sockets.
func service(t *testing.T, files ...*os.File) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	out := &bytes.Buffer{}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "CPULB_TEST_SERVICE=1", "LISTEN_FDNAMES=cpulbd.socket",
		"LISTEN_FDS="+strconv.Itoa(len(files)))
	cmd.ExtraFiles, cmd.Stdout = files, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, out
}

func unixSocket(t *testing.T, network string) (*net.UnixListener, *os.File) {
	t.Helper()
	l, err := net.ListenUnix(network, &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: network})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	f, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return l, f
}

func TestClientOfTheUnitsSocketIsAnsweredAndTheFileStays(t *testing.T) {
	l, f := unixSocket(t, "unix")
	cmd, _ := service(t, f)
	conn, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	left := &bytes.Buffer{}
	if _, err := left.ReadFrom(conn); err != nil || left.Len() > 0 {
		t.Errorf("the environment still says %q (%v)", left, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(l.Addr().String()); err != nil {
		t.Errorf("the unit's socket file went with the service: %v", err)
	}
}

func TestSocketThatDoesNotFitIsRefusedByName(t *testing.T) {
	_, stream := unixSocket(t, "unix")
	_, second := unixSocket(t, "unix")
	_, packet := unixSocket(t, "unixpacket")
	datagram, err := manager(t).File()
	if err != nil {
		t.Fatal(err)
	}
	defer datagram.Close()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	inet, err := tcp.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer inet.Close()
	for _, c := range []struct {
		name  string
		files []*os.File
		want  string
	}{
		{"two", []*os.File{stream, second}, "there are 2 sockets; one ListenStream= is allowed"},
		{"packet", []*os.File{packet}, "cpulbd.socket is a unixpacket socket"},
		{"tcp", []*os.File{inet}, "cpulbd.socket is a tcp socket"},
		{"datagram", []*os.File{datagram}, "can't be used: cpulbd.socket"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd, out := service(t, c.files...)
			if err := cmd.Wait(); err == nil || !strings.Contains(out.String(), c.want) {
				t.Errorf("got %q (%v), want %q", out, err, c.want)
			}
		})
	}
}

func TestWithoutASocketUnitThereIsNoListener(t *testing.T) {
	t.Setenv("LISTEN_FDS", "")
	if l, err := Listener(); l != nil || err != nil {
		t.Errorf("got %v, %v", l, err)
	}
}

// A child that inherits the variables of its parent was not meant.
func TestSocketsOfAnotherProcessAreNotTaken(t *testing.T) {
	t.Setenv("LISTEN_FDS", "1")
	t.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()+1))
	if l, err := Listener(); l != nil || err != nil {
		t.Errorf("got %v, %v", l, err)
	}
}
