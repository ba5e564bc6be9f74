package python

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// taskProcess is a process that has been forked, or is being forked, for a slot's tasks.
type taskProcess struct {
	serial  int64
	socket  int
	output  [2]pipeOutput // stdout and stderr
	tasks   int           // that it has had
	starved bool          // it did not hang when it was said to, but waited for a CPU
	ended   bool
	end     processReport
}

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

// fork has the slot's process fork another.
func (s *taskSlot) fork() (*taskProcess, error) {
	s.serial++
	p := &taskProcess{serial: s.serial, socket: -1}
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
	if err := s.request(processRequest{'F', 0, p.serial}, unix.UnixRights(theirs...)); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (s *taskSlot) request(r processRequest, rights []byte) error {
	data := unsafe.Slice((*byte)(unsafe.Pointer(&r)), unsafe.Sizeof(r))
	if err := unix.Sendmsg(s.socket, data, rights, nil, unix.MSG_NOSIGNAL); err != nil {
		return fmt.Errorf("%w: %w", errTemplateGone, err)
	}
	return nil
}

// signal has the slot's process send a signal, which knows that it is that process.
func (s *taskSlot) signal(p *taskProcess, number syscall.Signal) {
	_ = s.request(processRequest{'S', int64(number), p.serial}, nil) // an error: its end is found by reading
}

// endHung has the slot's process end one that hangs.
func (s *taskSlot) endHung(p *taskProcess) {
	p.starved = false
	_ = s.request(processRequest{'H', 0, p.serial}, nil)
}

// readReport takes what the slot's process has said.
func (s *taskSlot) readReport() error {
	var r processReport
	n, err := unix.Read(s.socket, unsafe.Slice((*byte)(unsafe.Pointer(&r)), unsafe.Sizeof(r)))
	switch {
	case err == unix.EINTR:
		return nil
	case err != nil || n != int(unsafe.Sizeof(r)):
		return errTemplateGone
	}
	for _, p := range []*taskProcess{s.ready, s.running} {
		if p == nil || p.serial != r.serial {
			continue
		}
		if r.what == 'W' {
			p.starved = true
			continue
		}
		p.ended, p.end = true, r
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

// send sends a task: header and params.
func (p *taskProcess) send(header, params []byte) error {
	b := binary.NativeEndian.AppendUint32(make([]byte, 0, 8+len(header)), uint32(len(header)))
	b = append(binary.NativeEndian.AppendUint32(b, uint32(len(params))), header...)
	for _, part := range [][]byte{b, params} {
		for len(part) > 0 {
			n, err := unix.SendmsgN(p.socket, part, nil, nil, unix.MSG_NOSIGNAL)
			if err == unix.EINTR {
				continue
			}
			if err != nil {
				return os.NewSyscallError("send", err)
			}
			part = part[n:]
		}
	}
	return nil
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

// take returns what has come, once.
func (o *pipeOutput) take() (string, bool) {
	text := o.text()
	cut := o.cut
	o.Reset()
	o.cut = false
	return text, cut
}
