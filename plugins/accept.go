package plugins

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"time"

	"cpulb/plugins/proto"

	"golang.org/x/sys/unix"
)

// helloTimeout is how long a new connection may take to send its Hello.
const helloTimeout = 10 * time.Second

// accept binds each connection to the slot that its Hello names, until every slot has
// one.
func (w *worker) accept(l *net.UnixListener) {
	defer l.Close()
	connections := len(w.slots)
	if w.loop != nil {
		connections++
	}
	for bound := 0; bound < connections; {
		conn, err := l.AcceptUnix()
		if err != nil {
			w.log.Error("slots can't be accepted", "error", err)
			return
		}
		if err := w.bind(conn); err != nil {
			w.log.Error("slot connection refused", "error", err)
			continue
		}
		bound++
	}
}

// bind reads the Hello and gives the descriptor, made blocking, to the slot's
// thread.
func (w *worker) bind(conn *net.UnixConn) error {
	keep := false
	defer func() {
		if !keep {
			conn.Close()
		}
	}()
	if err := conn.SetReadDeadline(time.Now().Add(helloTimeout)); err != nil {
		return err
	}
	var hello proto.Hello
	// Byte by byte, so as not to read into the Task that follows.
	if err := newFrameReader(oneByteReader{conn}, 0).next(&hello); err != nil {
		return fmt.Errorf("hello: %w", err)
	}
	if w.loop != nil && int(hello.Slot) == w.loop.first && !w.loop.bound {
		if err := conn.SetReadDeadline(time.Time{}); err != nil {
			return err
		}
		keep, w.loop.bound = true, true
		go w.loop.serve(conn)
		return nil
	}
	if int(hello.Slot) >= len(w.slots) || w.slots[hello.Slot].bound {
		return fmt.Errorf("%w: slot %d is not one of %d, or has a connection already", ErrFrame, hello.Slot, len(w.slots))
	}
	fd, err := blockingDuplicate(conn)
	if err != nil {
		return fmt.Errorf("slot descriptor: %w", err)
	}
	w.slots[hello.Slot].bound = true
	s := w.slots[hello.Slot]
	if host, ok := w.executor.(ThreadHost); ok {
		go host.OnSlotThread(s.index, func() { s.run(fd) })
	} else {
		go OnThread(func() { s.run(fd) })
	}
	return nil
}

// OnThread calls serve on an OS thread of its own, which ends with it: interpreter
// state belongs to the thread.
func OnThread(serve func()) {
	runtime.LockOSThread() // never unlocked
	serve()
}

// blockingDuplicate takes conn's socket out of Go's poller: one thread reads it and
// has nothing else to do. All that conn can do afterwards is close, because blocking
// is a property of the socket, not of the descriptor.
func blockingDuplicate(conn *net.UnixConn) (fd int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return -1, err
	}
	cerr := raw.Control(func(p uintptr) {
		if fd, err = unix.FcntlInt(p, unix.F_DUPFD_CLOEXEC, 0); err == nil {
			err = unix.SetNonblock(fd, false)
		}
	})
	if cerr != nil {
		return -1, cerr
	}
	return fd, err
}

type oneByteReader struct{ r io.Reader }

func (o oneByteReader) Read(p []byte) (int, error) { return o.r.Read(p[:1]) }
