// Package rawio is a Unix stream connection whose reads and writes say nothing to
// Go's scheduler.
//
// An ordinary system call announces itself, and the first one after an idle spell
// wakes the runtime's monitor thread, which then looks after the program every 20
// to 80 µs. Where a message is answered in less than that, the monitor costs more
// than the message. The calls made here are on a descriptor that doesn't block and
// take a few microseconds at most, so nobody has to know of them.
package rawio

import (
	"io"
	"net"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxVec is how many buffers the kernel takes in one writev (IOV_MAX).
const maxVec = 1024

// Conn is a Unix stream connection. It is safe for concurrent use as net.Conn is.
type Conn struct {
	*net.UnixConn
	raw syscall.RawConn
}

// New makes a Conn of c, which belongs to it from now on.
func New(c *net.UnixConn) (*Conn, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	return &Conn{UnixConn: c, raw: raw}, nil
}

// Read implements io.Reader.
func (c *Conn) Read(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	var errno syscall.Errno
	err = c.raw.Read(func(fd uintptr) bool {
		n, errno = call(syscall.SYS_READ, fd, unsafe.Pointer(&p[0]), len(p))
		return errno != syscall.EAGAIN
	})
	switch {
	case err != nil:
		return 0, err
	case errno != 0:
		return 0, os.NewSyscallError("read", errno)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// AwaitHangup returns nil once the other end has closed the connection; it does not say
// so of one that will only send nothing more. What can be read is left alone. Nobody else
// may read meanwhile; SetReadDeadline ends the wait.
func (c *Conn) AwaitHangup() error {
	return c.raw.Read(func(fd uintptr) bool {
		fds := []unix.PollFd{{Fd: int32(fd)}}
		n, err := unix.Poll(fds, 0)
		return err == nil && n > 0 && fds[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0
	})
}

// TryWrite writes what the socket takes now of bufs, none of which is empty, and
// returns how many bytes that was. It never blocks.
func (c *Conn) TryWrite(bufs [][]byte) (n int, err error) {
	if len(bufs) == 0 {
		return 0, nil
	}
	var errno syscall.Errno
	err = c.raw.Write(func(fd uintptr) bool {
		if len(bufs) == 1 {
			n, errno = call(syscall.SYS_WRITE, fd, unsafe.Pointer(&bufs[0][0]), len(bufs[0]))
		} else {
			var room [8]syscall.Iovec // mostly enough
			vec := vector(room[:0], bufs)
			n, errno = call(syscall.SYS_WRITEV, fd, unsafe.Pointer(&vec[0]), len(vec))
		}
		return true // also when it would block
	})
	switch {
	case err != nil:
		return 0, err
	case errno == syscall.EAGAIN:
		return 0, nil
	case errno != 0:
		return 0, os.NewSyscallError("write", errno)
	}
	return n, nil
}

func vector(vec []syscall.Iovec, bufs [][]byte) []syscall.Iovec {
	for _, b := range bufs[:min(len(bufs), maxVec)] {
		one := syscall.Iovec{Base: &b[0]}
		one.SetLen(len(b))
		vec = append(vec, one)
	}
	return vec
}

func call(number, fd uintptr, p unsafe.Pointer, n int) (int, syscall.Errno) {
	for {
		got, _, errno := syscall.RawSyscall(number, fd, uintptr(p), uintptr(n))
		if errno != syscall.EINTR {
			return int(got), errno
		}
	}
}
