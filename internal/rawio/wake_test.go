package rawio

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pair returns both ends of a connection, of which near's send buffer is as small as the
// kernel has them.
func pair(t *testing.T) (near *Conn, far *net.UnixConn) {
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
	if err := dialled.SetWriteBuffer(1); err != nil {
		t.Fatal(err)
	}
	if far, err = l.AcceptUnix(); err != nil {
		t.Fatal(err)
	}
	if near, err = New(dialled); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

// fill writes until there is no room.
func fill(t *testing.T, near *Conn) (n int) {
	t.Helper()
	for {
		some, err := near.TryWrite([][]byte{bytes.Repeat([]byte{'x'}, 500)})
		if err != nil {
			t.Fatal(err)
		}
		if some == 0 {
			return n
		}
		n += some
	}
}

func TestWhoeverWaitsIsNotWokenByTheOthersReading(t *testing.T) {
	for _, waitedForRoom := range []bool{false, true} {
		near, far := pair(t)
		if waitedForRoom { // which must leave nothing behind
			n := fill(t, near)
			go io.CopyN(io.Discard, far, int64(n))
			if err := near.awaitRoom(); err != nil {
				t.Fatal(err)
			}
			if _, err := io.CopyN(far, bytes.NewReader(make([]byte, 1)), 1); err != nil {
				t.Fatal(err)
			}
			if _, err := near.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
		}
		tries := make(chan bool, 100)
		receive := near.receive.try
		near.receive.try = func(fd uintptr) bool {
			done := receive(fd)
			tries <- done
			return done
		}
		ended := make(chan error, 1)
		go func() {
			_, err := near.Read(make([]byte, 1))
			ended <- err
		}()
		<-tries // it waits, or is about to
		for range 50 {
			if n, err := near.TryWrite([][]byte{{1}}); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			if _, err := far.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := far.Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if woken := len(tries); woken != 1 {
			t.Errorf("woken %d times for one answer (waited for room before: %v)", woken, waitedForRoom)
		}
	}
}

func TestAWriteWaitsForRoomAgainAndAgain(t *testing.T) {
	near, far := pair(t)
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<14)
	ended := make(chan error, 1)
	go func() {
		n, err := near.WriteAll(net.Buffers{nil, bytes.Clone(sent[:100]), {}, bytes.Clone(sent[100:])})
		if err == nil && n != int64(len(sent)) {
			err = io.ErrShortWrite
		}
		ended <- err
	}()
	got := make([]byte, len(sent))
	for at := 0; at < len(got); { // in pieces, so that the writer waits for each
		n, err := far.Read(got[at:min(at+3000, len(got))])
		if err != nil {
			t.Fatal(err)
		}
		at += n
	}
	if err := <-ended; err != nil || !bytes.Equal(got, sent) {
		t.Fatal(err, bytes.Equal(got, sent))
	}
}

func TestAWriteThatWaitsEndsWithItsConnection(t *testing.T) {
	for name, end := range map[string]func(*Conn, *net.UnixConn){
		"near": func(near *Conn, _ *net.UnixConn) { near.Close() },
		"far":  func(_ *Conn, far *net.UnixConn) { far.Close() },
	} {
		near, far := pair(t)
		fill(t, near)
		ended := make(chan error, 1)
		go func() {
			_, err := near.Write([]byte("more"))
			ended <- err
		}()
		if name == "near" {
			for waits := false; !waits; runtime.Gosched() { // for room
				near.mu.Lock()
				waits = near.room != nil
				near.mu.Unlock()
			}
		}
		end(near, far)
		if err := <-ended; err == nil || name == "near" && !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
		near.Close()
		if err := near.awaitRoom(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s, closed: %v", name, err)
		}
	}
}

func TestAConnTakesAsManyDescriptorsAsItSays(t *testing.T) {
	before := descriptors(t)
	near, far := pair(t)
	fill(t, near)
	go io.Copy(io.Discard, far)
	if err := near.awaitRoom(); err != nil {
		t.Fatal(err)
	}
	if n := descriptors(t) - before - 1; n != Descriptors { // one is far's
		t.Errorf("%d descriptors, not %d", n, Descriptors)
	}
	near.Close()
	far.Close()
	if n := descriptors(t); n != before {
		t.Errorf("%d descriptors are left", n-before)
	}
	_ = near.SetReadDeadline(time.Now()) // which is an error, and no more
}

func TestAWriteGetsOnWithoutADescriptorToWaitWith(t *testing.T) {
	near, far := pair(t)
	n := fill(t, near)
	var old unix.Rlimit
	if err := unix.Prlimit(0, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: most(t)}, &old); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := near.Write([]byte("more"))
		ended <- err
	}()
	_, err := io.CopyN(io.Discard, far, int64(n+len("more")))
	if restored := unix.Prlimit(0, unix.RLIMIT_NOFILE, &old, nil); restored != nil {
		t.Fatal(restored)
	}
	if err := errors.Join(err, <-ended); err != nil {
		t.Error(err)
	}
}

// most is the hard limit of descriptors.
func most(t *testing.T) uint64 {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	return limit.Max
}

func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

func TestWhicheverCloseReturnsFirstTheConnectionIsClosed(t *testing.T) {
	for range 300 {
		near, _ := pair(t)
		closers := make(chan error)
		for range 4 {
			go func() {
				near.Close()
				_, err := near.TryWrite([][]byte{{'x'}})
				closers <- err
			}()
		}
		for range 4 {
			if err := <-closers; !errors.Is(err, net.ErrClosed) {
				t.Fatalf("a write after Close: %v", err)
			}
		}
	}
}
