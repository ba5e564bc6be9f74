package plugins

import (
	"errors"
	"net"
	"os"
	"path/filepath"
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
