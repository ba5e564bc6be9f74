package plugins

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestOnlyTheProcessThatIsMeantIsServed(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, c := range []struct {
		only *only
		want error
	}{
		{&only{pid: os.Getpid()}, nil},
		{&only{pid: os.Getppid()}, errStranger},
		{nil, nil},
	} {
		if err := c.only.check(conn); !errors.Is(err, c.want) {
			t.Errorf("%v: %v", c.only, err)
		}
	}
	if err := (&only{pid: os.Getpid()}).check(tcpConn{}); !errors.Is(err, errStranger) {
		t.Errorf("TCP: %v", err)
	}
}

type tcpConn struct{ net.Conn }

func (tcpConn) LocalAddr() net.Addr { return &net.TCPAddr{} }

func TestTheDaemonIsWhoHasStartedTheWorker(t *testing.T) {
	info, err := os.Stat(fmt.Sprintf("/proc/%d", os.Getppid()))
	if err != nil {
		t.Skip(err)
	}
	if o := parent(); o.pid != os.Getppid() || o.uid != info.Sys().(*syscall.Stat_t).Uid {
		t.Errorf("%+v, want %d of user %d", o, os.Getppid(), info.Sys().(*syscall.Stat_t).Uid)
	}
}
