package python

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// taskProcess is a process that has been forked, or is being forked, for a slot's tasks.
type taskProcess struct {
	serial    int64
	subreaper *subreaper
	socket    int
	output    [2]pipeOutput // stdout and stderr
	tasks     int           // that it has had
	starved   bool          // it did not hang when it was said to, but waited for a CPU
	ended     bool
	end       processReport
}

// subreaper is one of the processes that fork those of a slot's tasks; see slots.c.
type subreaper struct {
	socket int
	holds  *taskProcess // the one below it, which may have been given up; nil: it may fork another
}

// subreapers is how many a slot has: while one ends what a task has left, the next task runs below the other.
const subreapers = 2

// processRequest and processReport are the packets of slots.c.
type (
	processRequest struct{ what, signal, serial int64 }
	processReport  struct{ what, serial, status, user, system, resident int64 }
)

// cpu is what the process and those of its children that it has waited for have taken.
func (r processReport) cpu() time.Duration {
	return time.Duration(r.user+r.system) * time.Microsecond
}

func (r processReport) waitStatus() syscall.WaitStatus { return syscall.WaitStatus(r.status) }

// pipeOutput keeps the beginning of what comes out of a pipe.
type pipeOutput struct {
	fd int // -1: its end has been read
	bounded
}

var errScarce = errors.New("a process of its own can't be had")

// fork has another process forked, where that is possible now; nil: no subreaper is free.
func (s *taskSlot) fork() (*taskProcess, error) {
	var free *subreaper
	for i := range s.subreapers {
		if s.subreapers[i].holds == nil {
			free = &s.subreapers[i]
		}
	}
	if free == nil {
		return nil, nil
	}
	s.serial++
	p := &taskProcess{serial: s.serial, subreaper: free, socket: -1}
	p.output[0].fd, p.output[1].fd = -1, -1
	theirs := make([]int, 0, 3)
	defer func() {
		for _, fd := range theirs {
			unix.Close(fd)
		}
	}()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errScarce, err)
	}
	p.socket, theirs = pair[0], append(theirs, pair[1])
	for i := range p.output {
		if err := unix.Pipe2(pair[:], unix.O_CLOEXEC); err != nil {
			p.close()
			return nil, fmt.Errorf("%w: %w", errScarce, err)
		}
		p.output[i].fd, theirs = pair[0], append(theirs, pair[1])
		p.output[i].limit = s.executor.conf.OutputBytes
		_ = unix.SetNonblock(pair[0], true)
	}
	if err := free.request(processRequest{'F', 0, p.serial}, unix.UnixRights(theirs...)); err != nil {
		p.close()
		return nil, err
	}
	free.holds = p
	return p, nil
}

func (u *subreaper) request(r processRequest, rights []byte) error {
	data := unsafe.Slice((*byte)(unsafe.Pointer(&r)), unsafe.Sizeof(r))
	if err := unix.Sendmsg(u.socket, data, rights, nil, unix.MSG_NOSIGNAL); err != nil {
		return fmt.Errorf("%w: %w", errSubreaperGone, err)
	}
	return nil
}

// signal has the process sent a signal by who knows that it is that process.
func (p *taskProcess) signal(number syscall.Signal) {
	_ = p.subreaper.request(processRequest{'S', int64(number), p.serial}, nil) // an error: its end is found by reading
}

// endHung has the process ended if it hangs.
func (p *taskProcess) endHung() {
	p.starved = false
	_ = p.subreaper.request(processRequest{'H', 0, p.serial}, nil)
}

// readReport takes what the subreaper has said.
func (u *subreaper) readReport() error {
	var r processReport
	n, err := unix.Read(u.socket, unsafe.Slice((*byte)(unsafe.Pointer(&r)), unsafe.Sizeof(r)))
	switch p := u.holds; {
	case err == unix.EINTR:
		return nil
	case err != nil || n != int(unsafe.Sizeof(r)):
		return errSubreaperGone
	case p == nil || p.serial != r.serial:
	case r.what == 'W':
		p.starved = true
	default:
		p.ended, p.end, u.holds = true, r, nil
	}
	return nil
}

// readReports takes what the subreapers have said by now.
func (s *taskSlot) readReports() error {
	fds := make([]unix.PollFd, subreapers)
	for i := range fds {
		fds[i] = unix.PollFd{Fd: int32(s.subreapers[i].socket), Events: unix.POLLIN}
	}
	if _, err := unix.Poll(fds, 0); err != nil {
		return nil // interrupted: the next look finds it
	}
	for i := range fds {
		if fds[i].Revents != 0 {
			if err := s.subreapers[i].readReport(); err != nil {
				s.executor.apart.gone.Store(true)
				return err
			}
		}
	}
	return nil
}

func (p *taskProcess) close() {
	for _, fd := range []int{p.socket, p.output[0].fd, p.output[1].fd} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	p.socket, p.output[0].fd, p.output[1].fd = -1, -1, -1
}

// taskFrame is what a process reads of a task: the sizes, the header and the params.
func taskFrame(header, params []byte) [][]byte {
	sizes := binary.NativeEndian.AppendUint32(make([]byte, 0, 8+len(header)), uint32(len(header)))
	sizes = binary.NativeEndian.AppendUint32(sizes, uint32(len(params)))
	return [][]byte{append(sizes, header...), params}
}

// drain reads what is in a pipe, or its end, but not for ever: a writer may be quicker.
func (o *pipeOutput) drain() {
	var chunk [16 << 10]byte
	for range 128 {
		if o.fd < 0 {
			return
		}
		n, err := unix.Read(o.fd, chunk[:])
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return
		case err != nil || n == 0:
			unix.Close(o.fd)
			o.fd = -1
		default:
			_, _ = o.Write(chunk[:n])
		}
	}
}
