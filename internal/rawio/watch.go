package rawio

import (
	"errors"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// watch is an epoll instance for one socket, which Go's poller waits for.
type watch struct {
	file *os.File
	raw  syscall.RawConn
}

// newWatch watches socket for events.
func newWatch(socket int, events uint32) (*watch, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	event := unix.EpollEvent{Events: events}
	err = errors.Join(
		os.NewSyscallError("epoll_ctl", unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, socket, &event)),
		os.NewSyscallError("fcntl", unix.SetNonblock(fd, true))) // by which os.NewFile knows that it can be polled
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	w := &watch{file: os.NewFile(uintptr(fd), "epoll")}
	if w.raw, err = w.file.SyscallConn(); err != nil {
		w.file.Close()
		return nil, err
	}
	return w, nil
}

// wait calls done with its descriptor, now and after each event, until it returns true. It
// returns net.ErrClosed after close, or that file's deadline is over.
func (w *watch) wait(done func(uintptr) bool) error { return told(w.raw.Read(done)) }

// hold has w stay open until f returns, or returns net.ErrClosed after close.
func (w *watch) hold(f func(uintptr)) error { return told(w.raw.Control(f)) }

// told gives an error of a RawConn of a file the name that others know.
func told(err error) error {
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return net.ErrClosed // there is no other
}

// close returns when nothing that w was waited for, or kept open for, is under way. Who
// waits is woken.
func (w *watch) close() { _ = w.file.Close() } // an error: it is closed
