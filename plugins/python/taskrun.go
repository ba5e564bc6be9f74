package python

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"syscall"
	"time"

	"cpulb/daemon/task"
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
	raised  bool      // the exception has reached it
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
	p := r.slot.running
	for !p.ended && (!r.answered || r.children) {
		if err := r.step(p); err != nil {
			return err
		}
	}
	r.readSocket(p, unix.MSG_DONTWAIT)
	for i := range p.output {
		p.output[i].drain()
	}
	return nil
}

// step waits for the next thing that happens.
func (r *taskRun) step(p *taskProcess) error {
	fds := []unix.PollFd{{Fd: int32(r.slot.socket), Events: unix.POLLIN}, {Fd: int32(r.slot.wake), Events: unix.POLLIN},
		{Fd: int32(p.socket), Events: unix.POLLIN}, {Fd: int32(p.output[0].fd), Events: unix.POLLIN}, {Fd: int32(p.output[1].fd), Events: unix.POLLIN}}
	if _, err := unix.Poll(fds, r.patience()); err != nil {
		return nil // interrupted
	}
	if !r.aheadAt.IsZero() && !time.Now().Before(r.aheadAt) {
		r.aheadAt = time.Time{}
		if err := r.slot.ahead(); err != nil {
			return err
		}
	}
	for i := range p.output {
		if fds[3+i].Revents != 0 {
			p.output[i].drain()
		}
	}
	if fds[2].Revents != 0 {
		r.readSocket(p, 0)
	}
	if fds[1].Revents != 0 {
		var b [8]byte
		_, _ = unix.Read(r.slot.wake, b[:])
	}
	if fds[0].Revents != 0 {
		if err := r.slot.readReport(); err != nil {
			return err
		}
	}
	r.stop(p, time.Now())
	return nil
}

// patience is for how many milliseconds nothing is to be done.
func (r *taskRun) patience() int {
	var next time.Time
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

// stop does what is due to a task that is to stop.
func (r *taskRun) stop(p *taskProcess, now time.Time) {
	if r.reason == 0 {
		r.ask(p, now)
	}
	if !r.raiseAt.IsZero() && !now.Before(r.raiseAt) {
		r.raiseAt = time.Time{}
		r.killAt = now.Add(hungAfter)
		r.slot.signal(p, raiseStop)
	}
	if p.starved && r.judged && !r.killed {
		p.starved, r.judged, r.killAt = false, false, now.Add(hungAfter)
	}
	if !r.killAt.IsZero() && !now.Before(r.killAt) {
		r.killAt = time.Time{}
		if !r.raised && now.Before(r.stopAt.Add(cleansUpFor)) {
			r.judged = true
			r.slot.endHung(p)
			return
		}
		r.killed, r.raiseAt = true, time.Time{}
		r.slot.signal(p, syscall.SIGKILL)
	}
}

// ask tells the process of a stop that has been asked for.
func (r *taskRun) ask(p *taskProcess, now time.Time) {
	switch r.reason = r.slot.stops.pending(r.task.Seq); r.reason {
	case plugins.StopCancelled:
		r.slot.signal(p, askCancelled)
	case plugins.StopTimedOut:
		r.slot.signal(p, askTimedOut)
	default:
		return
	}
	r.stopAt, r.killAt = now, now.Add(hungAfter)
}

// readSocket reads what the process has sent.
func (r *taskRun) readSocket(p *taskProcess, flags int) {
	buffer := make([]byte, 64<<10)
	for p.socket >= 0 {
		n, _, err := unix.Recvfrom(p.socket, buffer, flags)
		if err == unix.EINTR {
			continue
		}
		if err == unix.EAGAIN {
			return
		}
		if err != nil || n == 0 {
			unix.Close(p.socket)
			p.socket = -1
			if !r.answered && r.reason == 0 {
				r.lost, r.killAt = true, time.Now().Add(cleansUpFor)
			}
			return
		}
		r.pending = append(r.pending, buffer[:n]...)
		if !r.frames() {
			r.pending = nil
			r.slot.signal(p, syscall.SIGKILL)
		}
		if flags == 0 {
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
		r.asked(number != 0)
	case kindRaised:
		if r.reason != 0 && !r.killed {
			r.raised = true
			r.killAt = time.Now().Add(cleansUpFor)
		}
	case kindTaskEnded:
		r.ended(int(number), text)
	case kindTooLarge:
		r.answered, r.children, r.last = true, true, true
		r.result = failed("result_too_large", "ResultTooLarge", tooLarge(int64(number), r.slot.executor.conf.ResultBytes))
	case kindLine:
		if log := r.slot.executor.conf.Log; log != nil {
			log.Info("a task's process reports", "task_id", r.task.ID, "text", string(text))
		}
	default:
		emit(r.emit, embedpy.Post{Kind: kind, Number: number, Text: text})
	}
}

// asked: the script can see that it is to stop, and may have that noticed.
func (r *taskRun) asked(awaits bool) {
	if r.reason == 0 || r.killed || !r.raiseAt.IsZero() {
		return
	}
	r.raiseAt = time.Now()
	if awaits || r.reason == plugins.StopCancelled {
		r.raiseAt = r.raiseAt.Add(r.slot.executor.interruptAfter)
	}
	r.killAt = r.raiseAt.Add(hungAfter)
}

func (r *taskRun) ended(size int, text []byte) {
	r.answered = true
	var h endedHead
	if size < 0 || size > len(text) || json.Unmarshal(text[:size], &h) != nil {
		r.result = fault(plugins.Ran, "ExecutorError", "the task's process has sent no result")
		return
	}
	data := append(json.RawMessage(nil), text[size:]...)
	r.ran, r.cpu, r.heeded = time.Duration(h.Wall), time.Duration(h.CPU), h.Stopped
	r.children = h.Children
	r.last = h.Last || h.Children
	if h.Head == "" {
		r.result = plugins.Outcome{Status: task.Completed, Data: data}
	} else {
		r.result = decode([]byte(h.Head), data)
	}
	if r.result.Status == task.Completed && !json.Valid(data) {
		r.result = fault(plugins.Ran, "ExecutorError", "the task's process has sent a result that is no JSON")
	}
}

// outcome is how the task ended; reason is why it was to stop, 0 if it was not.
func (r *taskRun) outcome(reason plugins.StopReason) plugins.Outcome {
	p := r.slot.running
	o := r.result
	if !r.answered {
		o, r.ran = r.slot.died(p), time.Since(r.began)
		if r.lost && r.killed && reason == 0 && p.end.waitStatus().Signal() == syscall.SIGKILL {
			o.Error.Message = "the task's process has closed its connection to the worker, and so could not say how the task ends: has the script closed descriptors that it had not opened?"
		}
		r.heeded = r.killed || r.judged
	}
	if reason != 0 && r.heeded {
		o = stopAs(o, reason)
	}
	o = r.slot.executor.withinLimit(o)
	o.RunTime, o.CPUTime = r.ran, r.cpu
	if p.ended && p.tasks == 1 {
		o.CPUTime = p.end.cpu()
	}
	var cut [2]bool
	o.Stdout, cut[0] = p.output[0].take()
	o.Stderr, cut[1] = p.output[1].take()
	o.Truncated = cut[0] || cut[1]
	return o
}
