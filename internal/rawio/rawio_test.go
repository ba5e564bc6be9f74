package rawio_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cpulb/internal/rawio"
)

// pair returns both ends of a connection.
func pair(t testing.TB) (near *rawio.Conn, far *net.UnixConn) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialled, err := net.DialUnix("unix", nil, l.Addr().(*net.UnixAddr))
	if err != nil {
		t.Fatal(err)
	}
	if far, err = l.AcceptUnix(); err != nil {
		t.Fatal(err)
	}
	if near, err = rawio.New(dialled); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

func TestReadWaitsForInputAndTellsTheEnd(t *testing.T) {
	near, far := pair(t)
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	go func() {
		far.Write(sent)
		far.Close()
	}()
	got, err := io.ReadAll(near)
	if err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("%d bytes of %d, %v", len(got), len(sent), err)
	}
	if n, err := near.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Fatal(n, err)
	}
}

func TestAReadEndsWithItsDeadlineAndWithClose(t *testing.T) {
	near, _ := pair(t)
	if err := near.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := near.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	if err := near.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		_, err := near.Read(make([]byte, 1))
		ended <- err
	}()
	near.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
}

func TestTryWriteTakesWhatThereIsRoomForAndKeepsTheOrder(t *testing.T) {
	near, far := pair(t)
	if n, err := near.TryWrite(nil); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	var sent []byte
	for i := byte(0); ; i++ {
		bufs := [][]byte{bytes.Repeat([]byte{i}, 1000), {i, i}, bytes.Repeat([]byte{^i}, 3000)}
		n, err := near.TryWrite(bufs[:1+int(i)%3])
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break // the socket is full
		}
		sent = append(sent, bytes.Join(bufs, nil)[:n]...)
	}
	near.Close()
	got, err := io.ReadAll(far)
	if err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("%d bytes of %d, %v", len(got), len(sent), err)
	}
}

func TestAWriteToNobodyIsAnError(t *testing.T) {
	near, far := pair(t)
	far.Close()
	if _, err := near.TryWrite([][]byte{{1}}); !errors.Is(err, os.ErrClosed) && err == nil {
		t.Fatal(err)
	}
	near.Close()
	if _, err := near.TryWrite([][]byte{{1}}); !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
}

func TestAHangupIsNoticedWithoutReading(t *testing.T) {
	near, far := pair(t)
	if _, err := far.Write([]byte("unread")); err != nil {
		t.Fatal(err)
	}
	if err := far.CloseWrite(); err != nil { // which is no hangup: the other end still reads
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	_ = near.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if err := near.AwaitHangup(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("half closed: %v", err)
	}
	_ = near.SetReadDeadline(time.Time{})
	go func() { ended <- near.AwaitHangup() }()
	far.Close()
	if err := <-ended; err != nil {
		t.Errorf("closed: %v", err)
	}
	if text, err := io.ReadAll(near); err != nil || string(text) != "unread" {
		t.Errorf("what had been sent: %q %v", text, err)
	}
}
