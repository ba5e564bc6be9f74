package client_test

import (
	"context"
	"errors"
	"net"
	"net/http/httptrace"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"cpulb/ipc"
	"cpulb/ipc/client"
	"cpulb/ipc/ipctest"
)

// fickle accepts each first connection of two only to end it.
type fickle struct {
	net.Listener
	count atomic.Int64
}

func (f *fickle) Accept() (net.Conn, error) {
	for {
		conn, err := f.Listener.Accept()
		if err != nil || f.count.Add(1)%2 == 0 {
			return conn, err
		}
		conn.Close()
	}
}

// untilClosed has a call's first connection used only once its end has been seen.
func untilClosed(ctx context.Context) context.Context {
	first := true
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) {
		for first && ctx.Err() == nil && !errors.Is(got.Conn.SetDeadline(time.Time{}), net.ErrClosed) {
			runtime.Gosched()
		}
		first = false
	}})
}

func TestADaemonThatEndsAConnectionBeforeItIsAskedIsWaitedForAsOneThatHasGone(t *testing.T) {
	path := ipctest.Folder(t) + "/s"
	l, err := ipc.Listen(ipc.ListenConfig{Path: path, Mode: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	server, ended := ipc.NewServer(ipctest.New(), ipc.Options{BodyBytes: ipctest.BodyBytes}), make(chan error, 1)
	go func() { ended <- server.Serve(&fickle{Listener: l}) }()
	t.Cleanup(func() {
		cut, cancel := context.WithCancel(context.Background())
		cancel()
		_ = server.Shutdown(cut)
		<-ended
	})
	for range 10 { // net/http says it in more than one way
		c := client.New(path)
		if _, err := c.Submit(untilClosed(t.Context()), newTask(ipctest.Echo)); err != nil {
			t.Error(err)
		}
		c.Close()
	}
}
