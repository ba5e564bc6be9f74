package plugins

import (
	"encoding/binary"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// What a slot's thread has to say may wait for more, so that one write takes all. The
// thread itself writes it: before it waits in read, and between two tasks when it is
// heldBusy old. While a script runs, which may keep the interpreter's lock, the flusher does.
//
// heldAtMost is what a Result waits when the task after it, against all that was known,
// runs on. It could be less, but it is what the flusher wakes for as long as there is
// work, and there are machines, virtual ones, where each wake-up by a timer takes 20 µs.
const (
	// heldAtMost bounds for how long anything is held, whatever the thread does.
	heldAtMost = time.Millisecond
	// lookAfter is when the flusher looks; the rest is for the kernel to wake it.
	lookAfter = 800 * time.Microsecond
	// flushedFrom is how old something is at least that the flusher writes: what is
	// younger waits until it looks for that.
	flushedFrom = heldAtMost - lookAfter
	// heldBusy is for how long a thread that goes from one short task to the next holds
	// anything.
	heldBusy = 200 * time.Microsecond
	// longTask is how long a task takes at least for nothing to be held while the next runs.
	longTask = 100 * time.Microsecond
	// flusherSlice is the share of time that the scheduler gives it: the less, the sooner
	// it comes before a script on the same CPU.
	flusherSlice = 100 * time.Microsecond
)

// holder holds back what it has to send. Whoever holds something calls flusher.note.
type holder interface {
	// heldSince is when the first of what is held was held, 0: nothing is.
	heldSince() int64
	// flushHeld sends what is held, as far as that takes no waiting.
	flushHeld()
}

// flusher writes what holders hold before it is too old. It sleeps as long as nobody
// holds anything; a holder then sets its timer, which costs less than waking it. While
// they go on it looks at them again and again, and they do nothing about it.
type flusher struct {
	holders []holder
	now     func() int64 // by the monotonic clock, in nanoseconds, above 0
	// set has turn called after so long, or returns false: then nothing may be held.
	set func(time.Duration) bool
	// armed: the timer is set, or the flusher looks. noted: somebody has held something
	// since it has looked.
	armed, noted atomic.Bool
	lost         atomic.Bool // the timer does not come any more
}

// note tells f that something is held. When it returns false, f can't see to it.
func (f *flusher) note() bool {
	if f.lost.Load() {
		return false
	}
	if !f.noted.Load() {
		f.noted.Store(true)
	}
	if f.armed.Load() || !f.armed.CompareAndSwap(false, true) || f.set(lookAfter) {
		return true
	}
	f.armed.Store(false)
	return false
}

// turn looks at all holders and sets the timer for the next time, unless nobody has held
// anything since the last.
func (f *flusher) turn() {
	for {
		if after := f.look(); after > 0 {
			if f.set(after) {
				return
			}
			time.Sleep(after)
			continue
		}
		f.armed.Store(false)
		// A holder that saw armed before has not set the timer.
		if !f.holding() || !f.armed.CompareAndSwap(false, true) {
			return
		}
	}
}

// look has written what is old enough, and returns when to look again; 0: not before
// somebody holds something.
func (f *flusher) look() time.Duration {
	next, again := lookAfter, f.noted.Swap(false)
	now := f.now()
	for _, h := range f.holders {
		since := h.heldSince()
		if since == 0 {
			continue
		}
		again = true
		if age := time.Duration(now - since); age < flushedFrom {
			next = min(next, lookAfter-age)
			continue
		}
		h.flushHeld()
	}
	if !again {
		return 0
	}
	return next
}

// overdue is how old what is held is when the timer must be gone: a script has put another
// descriptor in its place.
const overdue = time.Second

// rescue writes what the flusher should have written long ago. Nothing is held from then on.
func (f *flusher) rescue() {
	now := f.now()
	for _, h := range f.holders {
		if since := h.heldSince(); since != 0 && time.Duration(now-since) >= overdue {
			f.lost.Store(true)
			h.flushHeld()
		}
	}
}

func (f *flusher) holding() bool {
	for _, h := range f.holders {
		if h.heldSince() != 0 {
			return true
		}
	}
	return false
}

// newFlusher starts a flusher of these holders, on a thread of its own that lives as long
// as the process. Without one (no timer can be had) they hold nothing.
func newFlusher(holders []holder) *flusher {
	origin := time.Now()
	f := &flusher{holders: holders, set: func(time.Duration) bool { return false }}
	f.now = func() int64 { return int64(time.Since(origin)) + 1 }
	timer, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC)
	if err != nil {
		return f
	}
	f.set = func(after time.Duration) bool { return setTimer(timer, after) }
	go OnThread(func() {
		shortenSlice()
		for {
			var times [8]byte
			if n, err := unix.Read(timer, times[:]); err == unix.EINTR {
				continue
			} else if err != nil || n != len(times) || binary.NativeEndian.Uint64(times[:]) == 0 {
				return // a script has closed the descriptor; set fails from now on
			}
			f.turn()
		}
	})
	return f
}

func setTimer(timer int, after time.Duration) bool {
	due := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(after))}
	return unix.TimerfdSettime(timer, 0, &due, nil) == nil
}

// shortenSlice asks for a short slice for the calling thread, where the scheduler has them.
func shortenSlice() {
	if attr, err := unix.SchedGetAttr(0, 0); err == nil {
		attr.Runtime = uint64(flusherSlice)
		_ = unix.SchedSetAttr(0, attr, 0) // before Linux 6.12 there are none
	}
}
