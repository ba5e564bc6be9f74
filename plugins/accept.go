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
		if err := w.daemon.check(conn); err != nil {
			w.log.Error("slot connection refused", "error", err)
			conn.Close()
			continue
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
	hello, tables, err := readHello(conn, w.slotsOf)
	if err != nil {
		return fmt.Errorf("hello: %w", err)
	}
	if w.loop != nil && int(hello.Slot) == w.loop.first && !w.loop.bound {
		if err := conn.SetReadDeadline(time.Time{}); err != nil {
			return err
		}
		keep, w.loop.bound, w.loop.begins = true, true, tables
		go w.loop.serve(conn)
		return nil
	}
	if int(hello.Slot) >= len(w.slots) || w.slots[hello.Slot].isOpen() {
		return fmt.Errorf("%w: slot %d is not one of %d, or has a connection already", ErrFrame, hello.Slot, len(w.slots))
	}
	fd, err := blockingDuplicate(conn)
	if err != nil {
		return fmt.Errorf("slot descriptor: %w", err)
	}
	s := w.slots[hello.Slot]
	if len(tables) > 0 {
		s.open(&tables[0])
	} else {
		s.open(nil)
	}
	if host, ok := w.executor.(ThreadHost); ok {
		go host.OnSlotThread(s.index, func() { s.run(fd) })
	} else {
		go OnThread(func() { s.run(fd) })
	}
	return nil
}

// slotsOf is how many slots a connection has whose Hello names this one.
func (w *worker) slotsOf(slot uint32) int {
	if w.loop != nil && int(slot) == w.loop.first {
		return len(w.loop.claims)
	}
	return 1
}

// readHello reads a Hello, and the claim tables that have come with it: nil, if none have.
func readHello(conn *net.UnixConn, slotsOf func(slot uint32) int) (hello *proto.Hello, tables []claims, err error) {
	bytes := &helloReader{conn: conn}
	defer bytes.close()
	hello = new(proto.Hello)
	if err := newFrameReader(bytes, 0).next(hello); err != nil {
		return nil, nil, err
	}
	if len(bytes.passed) > 0 {
		tables, err = openSharedClaims(bytes.passed[0], slotsOf(hello.Slot))
	}
	return hello, tables, err
}

// helloReader reads byte by byte, so as not to read into the Task that follows, and keeps
// the descriptors that come with the bytes.
type helloReader struct {
	conn   *net.UnixConn
	passed []int
}

// Read implements io.Reader.
func (r *helloReader) Read(p []byte) (int, error) {
	rights := make([]byte, unix.CmsgSpace(4))
	n, size, _, _, err := r.conn.ReadMsgUnix(p[:1], rights)
	messages, _ := unix.ParseSocketControlMessage(rights[:size]) // what is none, is none
	for i := range messages {
		fds, _ := unix.ParseUnixRights(&messages[i])
		r.passed = append(r.passed, fds...)
	}
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

func (r *helloReader) close() {
	for _, fd := range r.passed {
		unix.Close(fd)
	}
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
