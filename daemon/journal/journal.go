// Package journal is the durable store of tasks and results: a log to which the engine's
// changes are appended, and which is read back at the next start. docs/journal.md says
// what is in it.
//
// Guarantees: changes that are appended together are written together or not at all, and
// in the order of the calls. Once a change that was to be Written has been answered it
// survives the death of the process; once one that was to be Synced has, that of the
// machine too, as far as the disk keeps what fdatasync(2) was told. None waits for a sync
// but those that need one, and one sync serves all who wait. What can't be written, for
// want of room or otherwise, damages nothing that was written before, and waits. What was
// torn off by a death is cut off at the next start; any other damage is named with its
// place, and nothing is changed then. The log is at most about twice as large as what is
// needed of it, and some segments more.
//
// It does not look into tasks and results, and never logs them.
package journal

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"cpulb/daemon/task"

	"github.com/hashicorp/go-hclog"
)

var (
	// ErrInUse is matched when another process has the journal open.
	ErrInUse = errors.New("another daemon has the journal open")
	// ErrForeign is matched when the file in the journal's place is not a journal. It
	// has not been touched.
	ErrForeign = errors.New("this is not a journal")
	// ErrNewer is matched when a later version of the daemon has made the journal. It
	// has not been touched.
	ErrNewer = errors.New("the journal was made by a later version")
	// ErrCorrupt is matched when parts of the journal are missing or make no sense.
	ErrCorrupt = errors.New("the journal is damaged")
	// ErrUnsafe is matched when the journal belongs to another user, or when others may
	// write to it. It has not been touched.
	ErrUnsafe = errors.New("the journal is not safe from other users")
	// ErrFull is matched when a new task can't be written: there is no room on the disk,
	// or it fails.
	ErrFull = errors.New("the journal can't be written")
	// ErrClosed is matched when the journal was closed first.
	ErrClosed = errors.New("the journal is closed")
)

// Options is what Open needs.
type Options struct {
	// Interval is the most that a change which nobody waits for is not synced; 0: a second.
	Interval time.Duration
	// MachineBoot names this boot of the machine; empty: the kernel's id of it.
	MachineBoot string
	Log         hclog.Logger
	// Observe, which may be nil, is called after each sync with how long it took and how
	// many changes it had.
	Observe func(took time.Duration, changes int)
	// Answered, which may be nil, is called after some of the functions have been called that
	// Append and Add were given: all whose changes one write or one sync took along. Neither
	// is called by two goroutines at a time.
	Answered func()

	segmentBytes int64         // 0: segmentBytes
	retryAfter   time.Duration // 0: retryAfter
}

// Stats are the journal's figures.
type Stats struct {
	// Waiting counts the changes that have not come as far as was asked for, and
	// WaitingBytes about what they take in memory.
	Waiting      int
	WaitingBytes int64
	// Commits counts the syncs that went well.
	Commits    uint64
	LastCommit time.Duration
	// Bytes is the size of the log.
	Bytes int64
	// Failing is why nothing can be written; nil when it can.
	Failing error
}

// Journal is an open journal. Its methods are safe for concurrent use.
type Journal struct {
	options   Options
	lock      io.Closer // held as long as it is open
	clean     bool
	schedules map[string]Schedule
	batches   map[task.ID]Batch
	start     uint64
	// firstOfBoot is the first start since the machine was booted.
	firstOfBoot uint64

	// writing is held by whoever writes: the writer's goroutine, or a caller of Write. Nobody
	// waits for it but the writer's goroutine. It guards what follows.
	writing    sync.Mutex
	log        *log
	compaction compaction
	records    []written // room for what is written at once
	// looked is when all segments were found in their places, lookedLast when the last one was.
	looked, lookedLast time.Time
	endErr             error // of the writer's goroutine; to be read when all has been answered

	wake, syncWake chan struct{} // each has one element when there is something to do
	syncerEnded    chan struct{} // closed when it has
	answers        answers

	waitingOps, waitingBytes atomic.Int64
	// added: there is something that nobody has been asked to write.
	added atomic.Bool
	// troubled: Stats.Failing is not nil.
	troubled atomic.Bool

	mu      sync.Mutex
	waiting []*entry
	// waits is about the size of these.
	waits int64
	// hurry: somebody waits for what waits. goesOn: the writer's goroutine has something to go on
	// with, whoever writes meanwhile. lazyAt is when the writer goes on without, tidyAt
	// when it notes what has been synced and looks for what may be removed; zero: at no time.
	// failedAt is when it failed last.
	hurry, goesOn            bool
	lazyAt, tidyAt, failedAt time.Time
	closing                  bool
	giveUp                   context.Context // of Close
	stats                    Stats
	syncing
}

const (
	logFolder = "log"
	// lockTimeout is how long to wait for another process to let go of the journal.
	lockTimeout = time.Second
)

// Open opens the journal in dir, or makes one, for its owner alone.
// Errors: ErrInUse, ErrForeign, ErrNewer, ErrCorrupt, ErrUnsafe.
func Open(dir string, o Options) (_ *Journal, err error) {
	if o.MachineBoot == "" {
		o.MachineBoot = machineBoot()
	}
	lock, err := claim(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, lock.Close())
		}
	}()
	if err := takeOver(dir, o); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, logFolder)
	if err := makePrivate(path); err != nil {
		return nil, err
	}
	return openIn(&osFolder{path: path, lock: lock}, lock, o)
}

// openIn opens the journal whose log is in a folder.
func openIn(d folder, lock io.Closer, o Options) (*Journal, error) {
	o.retryAfter = cmp.Or(o.retryAfter, retryAfter)
	o.segmentBytes = cmp.Or(o.segmentBytes, segmentBytes)
	o.Interval = cmp.Or(o.Interval, time.Second)
	l, clean, err := openLog(d, o.MachineBoot, o.segmentBytes, 0)
	if err != nil {
		return nil, err
	}
	if l.cut != (position{}) {
		o.Log.Warn("the last record was not complete; it is cut off", "file", d.Path(segmentName(l.cut.segment)), "byte", l.cut.offset)
	}
	j := &Journal{options: o, lock: lock, clean: clean, log: l, start: l.start, firstOfBoot: l.firstOfBoot, giveUp: context.Background(),
		wake: make(chan struct{}, 1), syncWake: make(chan struct{}, 1), syncerEnded: make(chan struct{}), answers: newAnswers(o.Answered)}
	j.alarm = time.AfterFunc(forEver, j.alarmed)
	if j.schedules, j.batches, err = l.others(); err != nil {
		return nil, errors.Join(err, l.close())
	}
	j.written, j.synced, j.files = l.end(), l.end(), []file{l.active().file}
	j.stats.Bytes = l.size()
	if err := d.Reserve(); err != nil {
		j.fail(err)
	}
	go j.work()
	go j.sync()
	go j.answers.run()
	return j, nil
}

// Append has ops written, all or none, in the order of the calls. It does not wait for
// anything, so it may be called under a lock. done, which may be nil, is called once: when
// need is met, from any goroutine that uses the journal or from one of its own, and in the
// order of the calls with that need, unless some have to wait for room. done must not block.
// What ops refer to must not change any more.
//
// For a new task that can't be written done is called with ErrFull; everything else is
// kept in memory and tried again until it is written, or until Close (ErrClosed).
func (j *Journal) Append(need Need, done func(error), ops ...Op) {
	j.Add(Change{Need: need, Done: done, Ops: ops})
	if j.added.Swap(false) {
		signal(j.wake)
	}
}

// Change is what one call of Add wants to have written.
type Change struct {
	Need Need
	// Linger is for how long, at most, a sync may wait that nobody else asks for: something is
	// expected that can be synced with this. It does not wait for much longer than syncs take.
	Linger time.Duration
	// Done is explained at Append.
	Done func(error)
	Ops  []Op
}

// Add is Append for who calls Write soon, once it has let go of its lock.
func (j *Journal) Add(c Change) {
	if len(c.Ops) == 0 && c.Done == nil {
		return
	}
	x := newEntry(c, j.start)
	j.waitingOps.Add(int64(len(c.Ops)))
	j.waitingBytes.Add(x.bytes)
	if err := j.take(x); err != nil {
		j.answer(x, err)
	}
}

// take puts x into the line, or says why not.
func (j *Journal) take(x *entry) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.closing:
		return ErrClosed
	case x.fresh, x.need > Whenever:
		j.hurry = true
		j.added.Store(true)
	case len(j.waiting) == 0:
		j.lazyAt = time.Now().Add(lazily)
		j.added.Store(true)
	}
	j.waiting = append(j.waiting, x)
	j.waits += x.bytes
	return nil
}

// answer answers x, unless that has been done.
func (j *Journal) answer(x *entry, err error) {
	if x.answered {
		return
	}
	x.answered = true
	j.waitingOps.Add(-int64(len(x.ops)))
	if len(x.raw) == 0 {
		j.waitingBytes.Add(-x.bytes)
	}
	j.answers.add(x.done, err)
}

// signal wakes who waits on ch.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// machineBoot returns the kernel's id of this boot of the machine; empty where it has
// none.
func machineBoot() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}

// Start returns how often the journal has been opened, this time included.
func (j *Journal) Start() uint64 { return j.start }

// Comparable reports whether uptimes that were noted at a start are of this boot of the
// machine.
func (j *Journal) Comparable(start uint64) bool { return start >= j.firstOfBoot && start <= j.start }

// Clean reports whether the daemon before this one closed the journal in order.
func (j *Journal) Clean() bool { return j.clean }

// Schedules returns how far the schedules had come when it was opened.
func (j *Journal) Schedules() map[string]Schedule { return j.schedules }

// Batches returns what was kept of batches when it was opened.
func (j *Journal) Batches() map[task.ID]Batch { return j.batches }

// Waiting is Stats.WaitingBytes. It waits for nothing.
func (j *Journal) Waiting() int64 { return j.waitingBytes.Load() }

// Stats returns the journal's figures.
func (j *Journal) Stats() Stats {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.stats
	s.Waiting, s.WaitingBytes = int(j.waitingOps.Load()), j.waitingBytes.Load()
	return s
}

// Troubled reports whether nothing can be written, for now. It waits for nothing.
func (j *Journal) Troubled() bool { return j.troubled.Load() }

// Failing is Stats.Failing.
func (j *Journal) Failing() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.stats.Failing
}

// Close writes what waits, until ctx is done, and closes the journal. What could not be
// written is answered with ErrClosed.
func (j *Journal) Close(ctx context.Context) error {
	j.mu.Lock()
	already := j.closing
	if !already {
		j.closing, j.giveUp, j.hurry = true, ctx, true
	}
	j.mu.Unlock()
	signal(j.wake)
	<-j.answers.ended
	if already {
		return nil
	}
	j.alarm.Stop()
	return errors.Join(j.endErr, j.log.close(), j.lock.Close())
}
