package outbox_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"testing"

	"cpulb/internal/outbox"
)

func TestAClosedOutboxRefusesMoreAndStillWritesWhatItHas(t *testing.T) {
	near, far := pair(t)
	o := outbox.New(near, 0)
	const size = 8 << 20 // more than the socket takes: a goroutine has to finish it
	if err := o.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	o.Close()
	if err := o.Write([]byte("more")); !errors.Is(err, outbox.ErrClosed) {
		t.Fatalf("a Write after Close: %v", err)
	}
	if _, err := io.ReadFull(far, make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	if err := o.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestTheFirstWriteErrorStays(t *testing.T) {
	near, far := pair(t)
	o := outbox.New(near, 0)
	far.Close()
	if err := o.Write([]byte("x")); err != nil {
		t.Fatalf("the Write that finds out: %v", err) // it was taken before anyone knew
	}
	first := o.Write([]byte("x"))
	if first == nil || first.Error() != o.Flush(t.Context()).Error() || first != o.Write([]byte("x")) {
		t.Fatalf("first %v, then %v", first, o.Write([]byte("x")))
	}
}

func TestFlushEndsWithItsContext(t *testing.T) {
	near, _ := pair(t)
	o := outbox.New(near, 0)
	if err := o.Write(make([]byte, 8<<20)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := o.Flush(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestMoreBuffersThanOneSystemCallTakesLeaveWhole(t *testing.T) {
	near, far := pair(t)
	o := outbox.New(near, 0)
	const buffers = 1500 // IOV_MAX is 1024
	large := bytes.Repeat([]byte("x"), 64<<10)
	o.Cork()
	for range buffers {
		if err := o.Write(large); err != nil {
			t.Fatal(err)
		}
	}
	o.Uncork()
	if n, err := io.CopyN(io.Discard, far, buffers*int64(len(large))); err != nil {
		t.Fatalf("after %d bytes: %v", n, err)
	}
	if err := o.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestRoomComesBackAsTheReaderReads(t *testing.T) {
	near, far := pair(t)
	const room = 1 << 20
	o := outbox.New(near, room)
	for range 10 {
		if err := o.Write(make([]byte, room)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(far, make([]byte, room)); err != nil {
			t.Fatal(err)
		}
		if err := o.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRoomComesBackBeforeAllIsRead(t *testing.T) {
	near, far := pair(t)
	const room = 8 << 20
	o := outbox.New(near, room)
	if err := o.Write(make([]byte, room)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(far, make([]byte, room/2)); err != nil {
		t.Fatal(err)
	}
	for o.Write(make([]byte, room/4)) != nil { // for ever, if it has to wait for the rest
		runtime.Gosched()
	}
}
