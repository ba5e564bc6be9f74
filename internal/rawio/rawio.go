// Package rawio is a Unix stream connection that wakes its process only when there is
// something for it, and whose reads and writes say nothing to Go's scheduler.
//
// An ordinary system call announces itself, and the first one after an idle spell
// wakes the runtime's monitor thread, which then looks after the program every 20
// to 80 µs. Where a message is answered in less than that, the monitor costs more
// than the message. The calls made here don't wait and take a few microseconds at
// most, so nobody has to know of them.
//
// Go's poller waits for room to write, too, and of a Unix socket that is news each time
// the other end has read: whoever sends a message and waits for the answer would be
// woken for nothing in between, which takes as long as the message itself. So the poller
// does not know the socket. It knows an epoll instance that watches the socket for input
// alone (epoll(7) allows that), and another one for room as long as somebody waits for it.
package rawio

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// Descriptors is how many file descriptors a Conn takes. A write that waits for room
	// takes one more, if there is one.
	Descriptors = 2
	// lookAgain is how often such a write looks for room without one.
	lookAgain = 5 * time.Millisecond
	// maxVec is how many buffers the kernel takes in one call (IOV_MAX).
	maxVec = 1024
)

// Conn is a Unix stream connection. It is safe for concurrent use as net.Conn is.
type Conn struct {
	socket  int    // open as long as input is
	input   *watch // for what can be read
	receive receive
	send    send

	writing sync.Mutex // held by WriteAll, which may wait under it
	wide    bool       // the kernel has been asked to take more at a time; writing guards it

	closing sync.Once

	mu     sync.Mutex
	room   *watch // for room to write; nil: nobody waits for it
	closed bool
}

// receive is the system call that reads. It is kept from one Read to the next: its parts
// made anew would be four allocations each time.
type receive struct {
	sync.Mutex
	p     []byte
	n     int
	errno syscall.Errno
	try   func(uintptr) bool // false: nothing is there
}

// send is the system call that writes.
type send struct {
	sync.Mutex
	bufs  [][]byte
	n     int
	errno syscall.Errno
	try   func(uintptr)
}

// New makes a Conn of c, which it closes, whether it succeeds or not.
func New(c *net.UnixConn) (*Conn, error) {
	defer c.Close()
	socket, err := duplicate(c)
	if err != nil {
		return nil, err
	}
	input, err := newWatch(socket, unix.EPOLLIN|unix.EPOLLRDHUP)
	if err != nil {
		unix.Close(socket)
		return nil, err
	}
	conn := &Conn{socket: socket, input: input}
	conn.receive.try = conn.tryReceive
	conn.send.try = conn.trySend
	return conn, nil
}

func duplicate(c *net.UnixConn) (socket int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	held := raw.Control(func(fd uintptr) { socket, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	if held != nil {
		return -1, held
	}
	return socket, os.NewSyscallError("fcntl", err)
}

// Socket is the descriptor, for who looks whether it is still what it was.
func (c *Conn) Socket() int { return c.socket }

// Read implements io.Reader. After Close it returns net.ErrClosed, after the deadline an
// error that is os.ErrDeadlineExceeded.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	r := &c.receive
	r.Lock()
	defer r.Unlock()
	r.p = p
	err := c.input.wait(r.try)
	r.p = nil
	switch {
	case err != nil:
		return 0, err
	case r.errno != 0:
		return 0, os.NewSyscallError("recvfrom", r.errno)
	case r.n == 0:
		return 0, io.EOF
	}
	return r.n, nil
}

func (c *Conn) tryReceive(uintptr) bool {
	r := &c.receive
	r.n, r.errno = call(unix.SYS_RECVFROM, c.socket, unsafe.Pointer(&r.p[0]), len(r.p), unix.MSG_DONTWAIT)
	return r.errno != syscall.EAGAIN
}

// SetReadDeadline is that of net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.input.file.SetReadDeadline(t) }

// AwaitHangup returns nil once the other end has closed the connection; it does not say
// so of one that will only send nothing more. What can be read is left alone. Nobody else
// may read meanwhile; SetReadDeadline ends the wait.
func (c *Conn) AwaitHangup() error {
	return c.input.wait(func(uintptr) bool { return hungUp(c.socket) })
}

// AwaitHangup is Conn.AwaitHangup for a connection that is no Conn.
func AwaitHangup(c *net.UnixConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Read(func(fd uintptr) bool { return hungUp(int(fd)) })
}

// TryWrite writes what the socket takes now of bufs, none of which is empty, and
// returns how many bytes that was. It never blocks.
func (c *Conn) TryWrite(bufs [][]byte) (n int, err error) {
	if len(bufs) == 0 {
		return 0, nil
	}
	s := &c.send
	s.Lock()
	defer s.Unlock()
	s.bufs = bufs
	err = c.input.hold(s.try)
	s.bufs = nil
	switch {
	case err != nil:
		return 0, err
	case s.errno == syscall.EAGAIN:
		return 0, nil
	case s.errno != 0:
		return 0, os.NewSyscallError("sendmsg", s.errno)
	}
	return s.n, nil
}

func (c *Conn) trySend(uintptr) {
	s := &c.send
	const flags = unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL
	if len(s.bufs) == 1 {
		s.n, s.errno = call(unix.SYS_SENDTO, c.socket, unsafe.Pointer(&s.bufs[0][0]), len(s.bufs[0]), flags)
		return
	}
	var some [8]unix.Iovec // mostly enough
	vec := some[:0]
	for _, b := range s.bufs[:min(len(s.bufs), maxVec)] {
		one := unix.Iovec{Base: unsafe.SliceData(b)}
		one.SetLen(len(b))
		vec = append(vec, one)
	}
	message := unix.Msghdr{Iov: &vec[0]}
	message.SetIovlen(len(vec))
	s.n, s.errno = call(unix.SYS_SENDMSG, c.socket, unsafe.Pointer(&message), flags, 0)
}

// Write implements io.Writer. It waits for room as long as that takes, or until Close.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.WriteAll([][]byte{p})
	return int(n), err
}

// WriteAll writes bufs, whose elements it changes, as Write does.
func (c *Conn) WriteAll(bufs net.Buffers) (wrote int64, err error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	for {
		for len(bufs) > 0 && len(bufs[0]) == 0 {
			bufs = bufs[1:]
		}
		if len(bufs) == 0 {
			return wrote, nil
		}
		n, err := c.TryWrite(bufs)
		wrote += int64(n)
		if err != nil {
			return wrote, err
		}
		if n == 0 && !c.widen(bufs) {
			if err := c.awaitRoom(); err != nil {
				return wrote, err
			}
		}
		bufs = after(bufs, n)
	}
}

// after returns what follows the first n bytes of bufs.
func after(bufs net.Buffers, n int) net.Buffers {
	for len(bufs) > 0 && n >= len(bufs[0]) {
		n -= len(bufs[0])
		bufs = bufs[1:]
	}
	if n > 0 {
		bufs[0] = bufs[0][n:]
	}
	return bufs
}

const (
	// widely is how much the kernel is asked to take at a time where much is to be written. It
	// takes twice as much, and by itself 208 KiB, after which both sides sleep and wake.
	widely = 256 << 10
	// widelyFrom is what is left to be written then.
	widelyFrom = 64 << 10
)

// widen asks the kernel once to take more, if more than a little is left of bufs. It reports
// whether there may be room now. c.writing is held.
func (c *Conn) widen(bufs net.Buffers) bool {
	left := 0
	for _, b := range bufs {
		left += len(b)
	}
	if c.wide || left < widelyFrom {
		return false
	}
	c.wide = true
	var err error
	closed := c.input.hold(func(uintptr) { err = unix.SetsockoptInt(c.socket, unix.SOL_SOCKET, unix.SO_SNDBUF, widely) })
	return closed == nil && err == nil
}

// awaitRoom returns when a write will get on, or fail. c.writing is held.
func (c *Conn) awaitRoom() error {
	var room *watch
	var err error
	if closed := c.input.hold(func(uintptr) { room, err = newWatch(c.socket, unix.EPOLLOUT) }); closed != nil {
		return closed
	}
	if err != nil { // mostly for want of a descriptor
		time.Sleep(lookAgain)
		return nil
	}
	defer room.close()
	if !c.waitsFor(room) {
		return net.ErrClosed
	}
	defer c.waitsFor(nil)
	return room.wait(func(uintptr) bool { return ready(c.socket, unix.POLLOUT) != 0 })
}

// waitsFor has Close end the wait for room. It returns false after Close.
func (c *Conn) waitsFor(room *watch) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.room = room
	return !c.closed
}

// CloseRead has reads return io.EOF, without those of the other end.
func (c *Conn) CloseRead() (err error) {
	if held := c.input.hold(func(uintptr) { err = unix.Shutdown(c.socket, unix.SHUT_RD) }); held != nil {
		return held
	}
	return os.NewSyscallError("shutdown", err)
}

// Close implements io.Closer. Reads and writes that wait end, and later ones fail, whichever
// of several calls returns first.
func (c *Conn) Close() error {
	err := net.ErrClosed
	c.closing.Do(func() { err = c.close() })
	return err
}

func (c *Conn) close() error {
	c.mu.Lock()
	room := c.room
	c.closed = true
	c.mu.Unlock()
	if room != nil {
		room.close() // awaitRoom closes it again
	}
	c.input.close()
	return os.NewSyscallError("close", unix.Close(c.socket))
}

// hungUp reports that nobody is at the other end of socket.
func hungUp(socket int) bool { return ready(socket, 0)&(unix.POLLHUP|unix.POLLERR) != 0 }

// ready returns which of events, and of what poll(2) always tells, have come.
func ready(socket int, events int16) int16 {
	fds := []unix.PollFd{{Fd: int32(socket), Events: events}}
	if n, err := unix.Poll(fds, 0); err != nil || n <= 0 {
		return 0
	}
	return fds[0].Revents
}

func call(number uintptr, fd int, p unsafe.Pointer, a, b int) (int, syscall.Errno) {
	for {
		got, _, errno := syscall.RawSyscall6(number, uintptr(fd), uintptr(p), uintptr(a), uintptr(b), 0, 0)
		if errno != syscall.EINTR {
			return int(got), errno
		}
	}
}
