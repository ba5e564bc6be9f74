package outbox_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"

	"cpulb/internal/outbox"
	"cpulb/internal/rawio"
)

// pair returns both ends of a Unix stream connection.
func pair(t *testing.T) (near *rawio.Conn, far net.Conn) {
	t.Helper()
	return pairOf(t, func(*net.UnixConn) error { return nil })
}

// pairOf is pair with a near end that has been prepared.
func pairOf(t *testing.T, prepare func(*net.UnixConn) error) (near *rawio.Conn, far net.Conn) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialled, err := net.DialUnix("unix", nil, l.Addr().(*net.UnixAddr))
	if err != nil {
		t.Fatal(err)
	}
	if err := prepare(dialled); err != nil {
		t.Fatal(err)
	}
	if near, err = rawio.New(dialled); err != nil {
		t.Fatal(err)
	}
	if far, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

func TestBytesOfEveryWriteStayTogetherAndInOrder(t *testing.T) {
	near, far := pair(t)
	o := outbox.New(near, 0)
	const writers, each = 8, 300
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				body := bytes.Repeat([]byte{byte(w)}, 1+i*37%3000)
				if i%50 == 0 {
					body = bytes.Repeat([]byte{byte(w)}, 70_000) // handed over, not copied
				}
				if err := o.Write([]byte{byte(w), byte(i), byte(i >> 8), byte(len(body)), byte(len(body) >> 8), byte(len(body) >> 16)}, body); err != nil {
					t.Error(err)
				}
			}
		})
	}
	next := make([]int, writers)
	for range writers * each {
		var head [6]byte
		if _, err := io.ReadFull(far, head[:]); err != nil {
			t.Fatal(err)
		}
		w, i, n := head[0], int(head[1])|int(head[2])<<8, int(head[3])|int(head[4])<<8|int(head[5])<<16
		body := make([]byte, n)
		if _, err := io.ReadFull(far, body); err != nil {
			t.Fatal(err)
		}
		if int(w) >= writers || i != next[w] || bytes.Count(body, []byte{w}) != n {
			t.Fatalf("writer %d: message %d of %d bytes, expected number %d", w, i, n, next)
		}
		next[w]++
	}
	wg.Wait()
	if err := o.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestAReaderThatSleepsNeverBlocksAWriter(t *testing.T) {
	near, _ := pair(t)
	o := outbox.New(near, 4<<20)
	var err error
	for range 1000 {
		if err = o.Write(make([]byte, 8<<10)); err != nil {
			break
		}
	}
	if !errors.Is(err, outbox.ErrFull) {
		t.Fatalf("after 8 MB unread, with a bound of 4 MiB: %v", err)
	}
}

func TestNothingLeavesBetweenCorkAndUncork(t *testing.T) {
	near, far := pair(t)
	o := outbox.New(near, 0)
	o.Cork()
	for _, text := range []string{"one ", "two ", "three"} {
		if err := o.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	o.Uncork()
	got := make([]byte, 100)
	n, err := far.Read(got)
	if err != nil || string(got[:n]) != "one two three" {
		t.Fatalf("the first read brought %q, %v", got[:n], err)
	}
}
