package plugins

import (
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"cpulb/daemon/task"
)

// Printer is a Slot that can pass on what its task prints while that runs.
type Printer interface {
	Slot
	// Printed passes on what the task that runs has printed since the last call, by Output of
	// the Emitter of its Run. It is called on a goroutine of its own, once the task has run for
	// Configuration.OutputInterval and every so often then; the task may have ended meanwhile.
	Printed()
}

// LoopPrinter is a Loop that can pass on what its tasks print while they run.
type LoopPrinter interface {
	Loop
	// Printed passes on what tasks have printed since the last call, of those that have run for
	// Configuration.OutputInterval, by Output of their LoopRuns. It is called on a goroutine of its
	// own, every so often while tasks run.
	Printed()
}

// lookout has look called while a task of a slot runs, once that has taken interval and every
// so often then. Tasks that take less cost it a look at a flag, and a timer once in that time
// whatever their number.
type lookout struct {
	interval time.Duration // 0: never
	look     func()        // nil: there is nothing to see
	now      func() int64  // by the clock of begin, in nanoseconds
	began    atomic.Int64  // when the task that runs has begun; 0: none runs
	armed    atomic.Bool   // the timer is set, or fire runs
}

// begin notes that a task begins.
func (l *lookout) begin(now int64) {
	if l.interval == 0 || l.look == nil {
		return
	}
	l.began.Store(now)
	l.arm(l.interval)
}

// end notes that it has ended. A look may still be under way.
func (l *lookout) end() { l.began.Store(0) }

func (l *lookout) arm(after time.Duration) {
	if !l.armed.Load() && l.armed.CompareAndSwap(false, true) {
		time.AfterFunc(after, l.fire)
	}
}

// fire is the timer's: the task that runs may be another one than that which has set it.
func (l *lookout) fire() {
	next := l.interval
	if began := l.began.Load(); began != 0 {
		if age := time.Duration(l.now() - began); age < l.interval {
			next -= age
		} else {
			l.look()
		}
	}
	l.armed.Store(false)
	if l.began.Load() != 0 { // also of one that has begun since, and has found it armed
		l.arm(next)
	}
}

// Shown is how far what a task prints to a stream has been passed on. The parts, put together,
// are how the text of all that it has printed begins.
type Shown struct {
	// Most bounds the text, in bytes.
	Most int64
	// EachByte: what is not UTF-8 becomes one U+FFFD a byte, else one for as many as there are.
	EachByte bool
	bytes    int   // of what it has printed
	text     int64 // of what was made of it
	bad      bool  // the last of it was not UTF-8
	full     bool  // the bound was met
}

// Bytes is how much of what the task has printed is not to be passed on any more.
func (s *Shown) Bytes() int { return s.bytes }

// Next returns the text of what has been printed beyond Bytes, but for a character of which only
// a part is there.
func (s *Shown) Next(fresh []byte) string {
	if s.full {
		return ""
	}
	fresh = fresh[:len(fresh)-half(fresh)]
	text := s.valid(fresh)
	if room := s.Most - s.text; int64(len(text)) > room {
		text, s.full = text[:task.RuneStart(text, int(max(0, room)))], true
	}
	s.bytes, s.text = s.bytes+len(fresh), s.text+int64(len(text))
	return text
}

// valid makes UTF-8 of what follows what it made some of before.
func (s *Shown) valid(fresh []byte) string {
	var b strings.Builder
	for len(fresh) > 0 {
		r, size := utf8.DecodeRune(fresh)
		bad := r == utf8.RuneError && size == 1
		if !bad || !s.bad || s.EachByte {
			b.WriteRune(r)
		}
		s.bad, fresh = bad, fresh[size:]
	}
	return b.String()
}

// half is how many bytes at the end of text may be the beginning of a character.
func half(text []byte) int {
	for n := 1; n <= min(utf8.UTFMax, len(text)); n++ {
		if last := text[len(text)-n:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				return n
			}
			break
		}
	}
	return 0
}
