package exec

import (
	"fmt"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What a worker asks its keepers. Each is one packet.
const (
	askRun       = 'R' // with descriptors, see order
	askTerminate = 'T' // SIGTERM to all of the task
	askKill      = 'K' // SIGKILL
)

// What a keeper answers, one packet for each askRun, when nothing of the task is left or the
// keeper has given up ending it.
const (
	saysEnded   = 'E'
	saysRefused = 'X' // the program could not be started
)

// ask is a packet to a keeper. serial tells the tasks of a slot apart.
type ask struct{ what, serial int64 }

// answer is a packet from a keeper.
type answer struct {
	what, serial int64
	status       int64 // a wait status; with saysRefused an errno
	stage        int64 // with saysRefused
	cpu          int64 // nanoseconds
	left         int64 // 1: processes of the task may be left
}

// The stages at which a start can fail.
const (
	atFork = iota // or anything before the program's own execve
	atExec
)

// order is what a keeper is to run. It goes over in a file, as it may be large.
type order struct {
	path, dir  string
	argv, env  []string
	who        *credential // nil: as the keeper
	bounds     bounds
	byScriptFD bool // execute the last descriptor, not path
}

// credential is whom a program runs as.
type credential struct {
	uid, gid uint32
	groups   []uint32
}

// bounds are resource limits of a task's processes, each by itself; 0: as the keeper's.
type bounds struct {
	data       int64 // bytes
	cpuSeconds int64
}

// The descriptors that go with askRun, in this order.
const (
	orderFD = iota
	stdinFD
	stdoutFD
	stderrFD
	eventsFD
	scriptFD
	passed
)

// encode writes an order as texts with NUL between them, which none of them has.
func (o *order) encode() []byte {
	texts := []string{o.path, o.dir, strconv.FormatBool(o.byScriptFD), o.who.encode(), strconv.FormatInt(o.bounds.data, 10),
		strconv.FormatInt(o.bounds.cpuSeconds, 10), strconv.Itoa(len(o.argv))}
	texts = append(append(texts, o.argv...), o.env...)
	return []byte(strings.Join(texts, "\x00"))
}

// fixed is how many texts an order has before argv.
const fixed = 7

func decodeOrder(text []byte) (*order, error) {
	texts := strings.Split(string(text), "\x00")
	if len(texts) < fixed {
		return nil, fmt.Errorf("an order of %d texts", len(texts))
	}
	o := &order{path: texts[0], dir: texts[1], byScriptFD: texts[2] == "true"}
	var argc int
	var err error
	if o.who, err = decodeCredential(texts[3]); err != nil {
		return nil, err
	}
	if _, err = fmt.Sscan(strings.Join(texts[4:fixed], " "), &o.bounds.data, &o.bounds.cpuSeconds, &argc); err != nil {
		return nil, fmt.Errorf("an order's numbers: %w", err)
	}
	if texts = texts[fixed:]; argc < 0 || argc > len(texts) {
		return nil, fmt.Errorf("an order with %d arguments in %d texts", argc, len(texts))
	}
	o.argv, o.env = texts[:argc], texts[argc:]
	return o, nil
}

func (c *credential) encode() string {
	if c == nil {
		return ""
	}
	text := fmt.Sprintf("%d %d", c.uid, c.gid)
	for _, g := range c.groups {
		text += fmt.Sprintf(" %d", g)
	}
	return text
}

func decodeCredential(text string) (*credential, error) {
	if text == "" {
		return nil, nil
	}
	var ids []uint32
	for field := range strings.FieldsSeq(text) {
		n, err := strconv.ParseUint(field, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("an order's user: %w", err)
		}
		ids = append(ids, uint32(n))
	}
	if len(ids) < 2 {
		return nil, fmt.Errorf("an order's user: %q", text)
	}
	return &credential{uid: ids[0], gid: ids[1], groups: ids[2:]}, nil
}

// send sends a packet, with descriptors.
func send[T ask | answer](socket int, packet T, descriptors ...int) error {
	var rights []byte
	if len(descriptors) > 0 {
		rights = unix.UnixRights(descriptors...)
	}
	data := unsafe.Slice((*byte)(unsafe.Pointer(&packet)), unsafe.Sizeof(packet))
	for {
		err := unix.Sendmsg(socket, data, rights, nil, unix.MSG_NOSIGNAL)
		if err != unix.EINTR {
			return err
		}
	}
}

// receive receives a packet, with descriptors; io.EOF is a packet of nothing.
func receive[T ask | answer](socket int, packet *T) (descriptors []int, err error) {
	data := unsafe.Slice((*byte)(unsafe.Pointer(packet)), unsafe.Sizeof(*packet))
	control := make([]byte, unix.CmsgSpace(passed*4))
	n, m, _, _, err := unix.Recvmsg(socket, data, control, unix.MSG_CMSG_CLOEXEC)
	switch {
	case err != nil:
		return nil, err
	case n != len(data):
		return nil, unix.ECONNRESET
	}
	messages, err := unix.ParseSocketControlMessage(control[:m])
	for i := range messages {
		if fds, rerr := unix.ParseUnixRights(&messages[i]); rerr == nil {
			descriptors = append(descriptors, fds...)
		}
	}
	return descriptors, err
}
