package supervisor

import (
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

const (
	// logBurst is how many bytes of one kind a worker may have logged at a stroke, and
	// logRate how many a second get room again: what is said long after a flood is seen.
	logBurst = 256 << 10
	logRate  = 1 << 10
	// logLine is added for each line: empty ones fill a log, too.
	logLine = 128
	// tellDropped is how long it takes until what was not logged is told.
	tellDropped = 10 * time.Second
)

// throttle bounds how much of one kind of a worker's output is logged, and tells how
// much was not.
type throttle struct {
	log  hclog.Logger
	kind string // in the words of the log

	mu             sync.Mutex
	used           time.Duration // of the burst, as the time that it takes to get that room again
	at             time.Time     // when used was true
	lines, bytes   uint64        // dropped, and not told yet
	timer          *time.Timer   // tells
	perByte, whole time.Duration
}

func newThrottle(log hclog.Logger, kind string) *throttle {
	t := &throttle{log: log, kind: kind, at: time.Now(), perByte: time.Second / logRate}
	t.whole = logBurst * t.perByte
	return t
}

// admits reports whether a line of n bytes may be logged; if not it is counted.
func (t *throttle) admits(n int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	t.used, t.at = max(0, t.used-now.Sub(t.at)), now
	if cost := time.Duration(n+logLine) * t.perByte; t.used+cost <= t.whole {
		t.used += cost
		return true
	}
	t.lines, t.bytes = t.lines+1, t.bytes+uint64(n)
	if t.timer == nil {
		t.timer = time.AfterFunc(tellDropped, t.tell)
	}
	return false
}

// tell logs what was dropped. It is called once more after the last line.
func (t *throttle) tell() {
	t.mu.Lock()
	lines, bytes := t.lines, t.bytes
	t.lines, t.bytes = 0, 0
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
	t.mu.Unlock()
	if lines > 0 {
		t.log.Warn("more than the log takes was dropped", "of", t.kind, "bytes", bytes, "lines", lines)
	}
}
