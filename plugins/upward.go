package plugins

import (
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"cpulb/plugins/proto"

	"golang.org/x/sys/unix"
)

// joined is the largest payload that is copied to leave in one write with others; a larger
// one is written at once, and so is what is held when there is as much of it.
const joined = 64 << 10

// keptHeld is how much room is kept for what is held next.
const keptHeld = 4 * joined

// upward is what a slot sends up its connection. A task's Started and its Result are held
// for others to leave with them: until the thread waits for a task, until an event of a
// task follows them, and heldAtMost at the longest, whatever the thread does. A Started
// that is still held when the Result comes is not sent.
type upward struct {
	fd      int // a blocking socket
	gate    *gate
	flusher *flusher
	since   atomic.Int64 // heldSince; changed with the lock only

	sync.Mutex        // guards writing fd, and what follows
	held       []byte // frames
	result     resultMessage
	begun      uint64 // the seq whose Started follows them; 0: none does
	// answered counts the Results in held; their tasks leave the gate with them.
	answered int
	began    int64 // when the task has begun
	wide     bool  // the kernel has been asked to take more of fd at a time
	long     bool  // the task before took so long that nothing is held while the next runs
	// prompt: the daemon shares no claims, and has to know that a task runs before it does.
	prompt bool
}

// begin reports that the task seq begins.
func (u *upward) begin(seq uint64) error {
	u.Lock()
	defer u.Unlock()
	u.begun, u.began = seq, u.flusher.now()
	if u.long || u.prompt {
		return u.flush(nil)
	}
	return u.hold(u.began)
}

// answer sends the Result of seq, which has begun.
func (u *upward) answer(seq uint64, o *Outcome) error {
	u.Lock()
	defer u.Unlock()
	u.begun = 0 // the Result implies it
	u.answered++
	if err := u.add(u.result.of(seq, o)); err != nil {
		// Not UTF-8, or too large for a header: the executor's fault, and no reason to
		// give up the slot.
		failed := unsendable(": " + err.Error())
		o = &failed
		if err := u.add(u.result.of(seq, o)); err != nil {
			return err
		}
	}
	now := u.flusher.now()
	u.long = time.Duration(now-u.began) >= longTask
	if len(o.Data) >= joined {
		u.widen()
		return u.flush(o.Data)
	}
	u.held = append(u.held, o.Data...)
	since := u.since.Load()
	if old := since != 0 && time.Duration(now-since) >= heldBusy; old && !u.long || len(u.held) >= joined {
		return u.flush(nil)
	}
	if u.long && since == 0 {
		// Until the next begins, or the thread waits for it. No script runs before, so that
		// the flusher need not look.
		u.since.Store(now)
		return nil
	}
	return u.hold(now)
}

// widen asks the kernel once to take twice as much at a time as it does by itself, after which
// both sides sleep and wake. The lock is held.
func (u *upward) widen() {
	if !u.wide {
		u.wide = true
		_ = unix.SetsockoptInt(u.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 256<<10) // an error: it goes by smaller steps
	}
}

// skip reports that seq does not run.
func (u *upward) skip(seq uint64) error {
	u.Lock()
	defer u.Unlock()
	if err := u.add(&proto.Event{Seq: seq, Kind: &proto.Event_Skipped{Skipped: &proto.Skipped{}}}); err != nil {
		return err
	}
	return u.hold(u.flusher.now())
}

// event sends ev with its payload (nil: none) at once, after what is held. The lock is held.
func (u *upward) event(ev *proto.Event, payload []byte) error {
	if err := u.addStarted(); err != nil {
		return err
	}
	if err := u.add(ev); err != nil {
		return err
	}
	return u.flush(payload)
}

// send is event without the lock.
func (u *upward) send(ev *proto.Event) error {
	u.Lock()
	defer u.Unlock()
	return u.event(ev, nil)
}

// sendHeld sends what is held.
func (u *upward) sendHeld() error {
	u.Lock()
	defer u.Unlock()
	return u.flush(nil)
}

// hold has the flusher see to what is held, for which the lock is held.
func (u *upward) hold(now int64) error {
	if u.since.Load() != 0 {
		return nil
	}
	u.since.Store(now)
	if u.flusher.note() {
		return nil
	}
	return u.flush(nil)
}

// add adds a header to what is held; its payload must follow. The lock is held.
func (u *upward) add(ev *proto.Event) error {
	held, err := appendFrame(u.held, ev)
	if err == nil {
		u.held = held
	}
	return err
}

// addStarted adds the Started that follows. The lock is held.
func (u *upward) addStarted() error {
	if u.begun == 0 {
		return nil
	}
	seq := u.begun
	u.begun = 0
	return u.add(&proto.Event{Seq: seq, Kind: &proto.Event_Started{Started: &proto.Started{}}})
}

// flush writes what is held and then payload; it waits until the daemon's reader has taken
// them. The lock is held.
func (u *upward) flush(payload []byte) error {
	err := u.addStarted()
	if err == nil {
		err = writeAll(u.fd, u.held, payload)
	}
	u.sent() // also when it fails: the connection is lost then, and Drain must not wait
	return err
}

// sent notes that nothing is held any more. The lock is held.
func (u *upward) sent() {
	u.gate.leave(u.answered)
	u.answered = 0
	if u.held = u.held[:0]; cap(u.held) > keptHeld { // a task has printed much
		u.held, u.result = nil, resultMessage{}
	}
	u.since.Store(0)
}

// heldSince implements holder.
func (u *upward) heldSince() int64 { return u.since.Load() }

// flushHeld implements holder. When the thread has the lock, it is about to hold or to
// write something; what the socket does not take now may be taken later.
func (u *upward) flushHeld() {
	if !u.TryLock() {
		return
	}
	defer u.Unlock()
	if u.since.Load() == 0 || u.addStarted() != nil {
		return
	}
	n, err := unix.SendmsgN(u.fd, u.held, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	switch {
	case err == unix.EAGAIN, err == unix.EINTR:
		u.since.Store(u.flusher.now())
	case err == nil && n < len(u.held):
		u.held = append(u.held[:0], u.held[n:]...)
		u.since.Store(u.flusher.now())
	default:
		u.sent() // an error: the thread will meet it, too
	}
}

// writeAll writes both; neither need hold anything.
func writeAll(fd int, head, payload []byte) error {
	for len(head)+len(payload) > 0 {
		n, errno := send(fd, head, payload)
		switch {
		case errno == unix.EINTR:
			continue
		case errno != 0:
			return fmt.Errorf("write: %w", errno)
		}
		took := min(n, len(head))
		head, payload = head[took:], payload[n-took:]
	}
	return nil
}

// send waits until the socket takes some of both. It writes to nothing but a socket: where a
// script has closed that, a file may have its number.
func send(fd int, head, payload []byte) (n int, errno syscall.Errno) {
	var room [2]unix.Iovec
	vec := room[:0]
	for _, b := range [...][]byte{head, payload} {
		if len(b) > 0 {
			one := unix.Iovec{Base: &b[0]}
			one.SetLen(len(b))
			vec = append(vec, one)
		}
	}
	message := unix.Msghdr{Iov: &vec[0]}
	message.SetIovlen(len(vec))
	sent, _, errno := syscall.Syscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&message)), unix.MSG_NOSIGNAL)
	return int(sent), errno
}
