package python

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"syscall"
	"time"

	"cpulb/embedpy"
	"cpulb/plugins"

	"golang.org/x/sys/unix"
)

// The kinds of what a task's process sends, beside the events: template.py has the same.
const (
	kindAsked     = 11 // the script can see that it is to stop; 1: it awaits, and is cancelled there
	kindRaised    = 12 // the exception is raised in it
	kindTaskEnded = 13
	kindTooLarge  = 14
	kindLine      = 15 // of the log
)

const (
	frameHeader = 24
	mostText    = 1 << 20 // of events, and beside the data of a result
)

// taskRun is one task in its process. What comes from there may be forged by the script: it
// is the script's own end.
type taskRun struct {
	slot  *taskSlot
	task  *plugins.Task
	emit  plugins.Emitter
	began time.Time

	frame    [][]byte
	unsent   [][]byte  // what its process has not been sent of that yet
	tries    int       // how many processes have had it, or a part
	aheadAt  time.Time // when the next task's process is forked beside it; zero: it has been
	pending  []byte    // what has been read and is no whole frame
	answered bool
	result   plugins.Outcome
	ran, cpu time.Duration
	heeded   bool // the script has noticed that it is to stop
	children bool // it has had some, of which others may be left
	last     bool // its process takes no further one

	reason  plugins.StopReason // 0: it is not to stop
	raiseAt time.Time          // zero: not
	killAt  time.Time
	stopAt  time.Time // when it was asked to
	asked   bool      // it has been told, and has said that the script can see it
	raising bool      // the exception has been sent
	raised  bool      // and has reached it
	garbled bool      // it has sent what is no frame, and is ended for that
	lost    bool      // it has closed its connection, and can't say any more how the task ends
	judged  bool      // it is to be ended if it hangs
	killed  bool
}

// ended is the head of kindTaskEnded.
type endedHead struct {
	Wall    int64 `json:"wall"`
	CPU     int64 `json:"cpu"`
	Stopped bool  `json:"stopped"`
	// Children: there have been some.
	Children bool `json:"children"`
	// Last: the process takes no further task.
	Last bool   `json:"last"`
	Size int    `json:"size"`
	Head string `json:"head"`
}

// aheadAfter is how long a task has run when the next one's process is forked beside it. That of a
// shorter one is forked after it: on one CPU they would only take turns.
const aheadAfter = 3 * time.Millisecond

// watch returns when the task has ended: once it has answered, and where it has had children, with
// its process and all that it has left.
func (r *taskRun) watch() error {
	for !r.isOver() {
		if err := r.step(); err != nil {
			if r.answered {
				break
			}
			return err
		}
	}
	if p := r.slot.running; p != nil {
		r.readLast(p)
		for i := range p.output {
			p.output[i].drain()
		}
	}
	_ = r.slot.readReports() // whoever forks the next process finds it
	return nil
}

func (r *taskRun) isOver() bool {
	p := r.slot.running
	if p == nil {
		return r.answered
	}
	return p.ended && !r.mayTryAgain(p) || r.answered && !r.children
}

// mostTries is how many processes may end while a task is on its way to them.
const mostTries = 3

// mayTryAgain: nothing of the task has run, as the process had ended before it had all of it.
func (r *taskRun) mayTryAgain(p *taskProcess) bool {
	return len(r.unsent) > 0 && r.tries < mostTries && p.end.what != 'X'
}

// step waits for the next thing that happens.
func (r *taskRun) step() error {
	if err := r.find(); err != nil {
		return err
	}
	s, p := r.slot, r.slot.running
	fds := []unix.PollFd{{Fd: int32(s.wake), Events: unix.POLLIN}, {Fd: int32(s.subreapers[0].socket), Events: unix.POLLIN},
		{Fd: int32(s.subreapers[1].socket), Events: unix.POLLIN}}
	if p != nil {
		fds = append(fds, r.at(p), unix.PollFd{Fd: int32(p.output[0].fd), Events: unix.POLLIN}, unix.PollFd{Fd: int32(p.output[1].fd), Events: unix.POLLIN})
	}
	if _, err := unix.Poll(fds, r.patience()); err != nil && err != unix.EINTR {
		return err
	}
	if fds[0].Revents != 0 {
		var b [8]byte
		_, _ = unix.Read(s.wake, b[:])
	}
	if p != nil {
		r.exchange(p, fds[3:])
	}
	if err := s.readReports(); err != nil {
		return err
	}
	now := time.Now()
	if !r.aheadAt.IsZero() && !now.Before(r.aheadAt) {
		r.aheadAt = time.Time{}
		if err := s.ahead(); err != nil {
			return err
		}
	}
	r.stop(now)
	return nil
}

// jammedAfter is how long both subreapers may take to end what tasks have left.
const jammedAfter = 10 * time.Second

var errJammed = errors.New("what earlier tasks have left can't be ended")

// find gives the task a process, as soon as there may be one.
func (r *taskRun) find() (err error) {
	s := r.slot
	if s.running != nil && s.running.ended {
		s.running.close()
		s.running = nil
	}
	if s.running != nil || r.answered {
		return nil
	}
	if s.ready != nil && s.ready.tasks > 0 && hasSurroundings(r.task) {
		s.ready.signal(syscall.SIGKILL)
		s.ready.close()
		s.ready = nil
	}
	if s.ready != nil && s.ready.ended {
		s.ready.close()
		s.ready = nil
	}
	if s.running, s.ready = s.ready, nil; s.running == nil {
		s.running, err = s.fork()
	}
	if s.running != nil {
		s.running.tasks++
		s.beginPrinting(s.running, r.emit)
		r.tries++
		r.unsent = slices.Clone(r.frame)
	} else if err == nil && time.Since(r.began) > jammedAfter {
		err = errJammed
	}
	return err
}

// at is what is waited for at the process's socket: nothing more once it has answered.
func (r *taskRun) at(p *taskProcess) unix.PollFd {
	switch {
	case r.answered:
		return unix.PollFd{Fd: -1}
	case len(r.unsent) > 0:
		return unix.PollFd{Fd: int32(p.socket), Events: unix.POLLIN | unix.POLLOUT}
	}
	return unix.PollFd{Fd: int32(p.socket), Events: unix.POLLIN}
}

// exchange does what can be done at the process's socket and outputs.
func (r *taskRun) exchange(p *taskProcess, fds []unix.PollFd) {
	for i := range p.output {
		if fds[1+i].Revents != 0 {
			p.output[i].drain()
		}
	}
	switch {
	case fds[0].Revents == 0:
	case fds[0].Revents&unix.POLLIN != 0 || len(r.unsent) == 0:
		r.read(p)
	default:
		r.send(p)
	}
}

// send sends as much of the task as the socket takes.
func (r *taskRun) send(p *taskProcess) {
	for len(r.unsent) > 0 {
		n, err := unix.SendmsgN(p.socket, r.unsent[0], nil, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
		switch {
		case err == unix.EAGAIN || err == unix.EINTR:
			return
		case err != nil:
			unix.Close(p.socket)
			p.socket = -1
			p.signal(syscall.SIGKILL) // it has ended, or is of no use; its end is waited for
			return
		}
		if r.unsent[0] = r.unsent[0][n:]; len(r.unsent[0]) == 0 {
			r.unsent = r.unsent[1:]
		}
	}
}

// patience is for how many milliseconds nothing is to be done.
func (r *taskRun) patience() int {
	var next time.Time
	if r.slot.running == nil {
		next = r.began.Add(jammedAfter)
	}
	for _, at := range []time.Time{r.aheadAt, r.raiseAt, r.killAt} {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	if next.IsZero() {
		return -1
	}
	return max(0, int((time.Until(next)+time.Millisecond-1)/time.Millisecond))
}

// read reads some of what the process has sent.
func (r *taskRun) read(p *taskProcess) {
	n, _, err := unix.Recvfrom(p.socket, r.slot.buffer, unix.MSG_DONTWAIT)
	switch {
	case err == unix.EINTR || err == unix.EAGAIN:
		return
	case err != nil || n == 0:
		unix.Close(p.socket)
		p.socket = -1
		if r.reason == 0 && len(r.unsent) == 0 {
			r.lost, r.killAt = true, time.Now().Add(cleansUpFor)
		}
		return
	}
	r.pending = append(r.pending, r.slot.buffer[:n]...)
	if !r.frames() {
		r.pending, r.garbled = nil, true
		p.signal(syscall.SIGKILL)
	}
	if r.answered && r.children {
		p.signal(syscall.SIGKILL) // it has nothing left to do, and its end is waited for
	}
}

// readLast reads what a process that has ended had sent: all who could send more have ended, too.
func (r *taskRun) readLast(p *taskProcess) {
	for p.socket >= 0 && !r.answered {
		before := len(r.pending)
		if r.read(p); p.socket >= 0 && len(r.pending) == before && !r.answered {
			return
		}
	}
}

// frames takes the frames that are whole; false: no process of ours sends that.
func (r *taskRun) frames() bool {
	most := uint64(mostText + max(0, r.slot.executor.conf.ResultBytes))
	for len(r.pending) >= frameHeader {
		kind := int64(binary.NativeEndian.Uint64(r.pending))
		number := math.Float64frombits(binary.NativeEndian.Uint64(r.pending[8:]))
		size := binary.NativeEndian.Uint64(r.pending[16:])
		if size > most && r.slot.executor.conf.ResultBytes > 0 || size > math.MaxInt32 {
			return false
		}
		if uint64(len(r.pending)-frameHeader) < size {
			return true
		}
		text := r.pending[frameHeader : frameHeader+size]
		r.take(kind, number, text)
		r.pending = r.pending[frameHeader+size:]
	}
	return true
}

func (r *taskRun) take(kind int64, number float64, text []byte) {
	if r.answered {
		return
	}
	switch kind {
	case kindAsked:
		r.canSee(number != 0)
	case kindRaised:
		if r.raising && !r.raised && !r.killed {
			r.raised = true
			r.killBy(time.Now().Add(cleansUpFor))
		}
	case kindTaskEnded:
		r.ended(int(number), text)
	case kindTooLarge:
		r.answered, r.children, r.last = true, true, true
		r.result = failed("result_too_large", "ResultTooLarge", tooLarge(int64(min(max(0, number), math.MaxInt32)), r.slot.executor.conf.ResultBytes))
	case kindLine:
		if log := r.slot.executor.conf.Log; log != nil {
			log.Info("a task's process reports", "task_id", r.task.ID, "text", string(text))
		}
	default:
		emit(r.emit, embedpy.Post{Kind: kind, Number: number, Text: text})
	}
}
