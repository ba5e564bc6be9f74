// Package journal is the durable store of tasks and results: what the engine
// appends is committed to disk in groups, one fsync for all who wait, and read
// back at the next start. The store is go.etcd.io/bbolt; docs/journal.md says what
// is in it and why it is this one.
//
// Guarantees: changes that are appended together are committed together or not at
// all, and in the order of the calls. Once the answer of a change has come it
// survives the death of the process and of the machine, as far as the disk keeps
// what fsync(2) was told. A commit that fails, for want of room or otherwise,
// damages nothing that was committed before. What is no longer needed makes room
// for what comes; the file does not shrink.
//
// It does not look into tasks and results, and never logs them.
package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"cpulb/daemon/task"

	"github.com/hashicorp/go-hclog"
	"go.etcd.io/bbolt"
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
	// ErrFull is matched when a new task can't be committed: there is no room on the
	// disk, or it fails.
	ErrFull = errors.New("the journal can't be written")
	// ErrClosed is matched when the journal was closed before the commit.
	ErrClosed = errors.New("the journal is closed")
)

// Options is what Open needs.
type Options struct {
	// MachineBoot names this boot of the machine; empty: the kernel's id of it.
	MachineBoot string
	Log         hclog.Logger
	// Observe, which may be nil, is called after each commit with how long it took and
	// how many changes it had.
	Observe func(took time.Duration, changes int)
}

// Stats are the journal's figures.
type Stats struct {
	// Waiting counts the changes that are not committed yet, and WaitingBytes about what
	// they take in memory. Commits counts the commits that went well.
	Waiting      int
	WaitingBytes int64
	Commits      uint64
	LastCommit   time.Duration
	// Bytes is the size of the file.
	Bytes int64
	// Failing is why the last commit failed; nil when it did not.
	Failing error
}

// Journal is an open journal. Its methods are safe for concurrent use.
type Journal struct {
	options            Options
	db                 *bbolt.DB
	path               string
	start, firstOfBoot uint64
	clean              bool
	schedules          map[string]Schedule
	batches            map[task.ID]Batch
	wake               chan struct{} // has one element when there is something to do
	answers            answers

	mu      sync.Mutex
	waiting []*entry
	closing bool
	giveUp  context.Context // of Close
	stats   Stats
}

const (
	fileName = "journal.db"
	// lockTimeout is how long to wait for another process to let go of the file.
	lockTimeout = time.Second
)

// Open opens the journal in dir, or makes one, for its owner alone.
// Errors: ErrInUse, ErrForeign, ErrNewer, ErrCorrupt.
func Open(dir string, o Options) (*Journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, err
	}
	if o.MachineBoot == "" {
		o.MachineBoot = machineBoot()
	}
	path := filepath.Join(dir, fileName)
	if err := examine(path); err != nil {
		return nil, err
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout, FreelistType: bbolt.FreelistMapType, NoFreelistSync: true})
	if err != nil {
		return nil, named(path, err)
	}
	j := &Journal{options: o, db: db, path: path, wake: make(chan struct{}, 1), answers: newAnswers(), giveUp: context.Background()}
	if err := j.begin(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), db.Close())
	}
	go j.work()
	go j.answers.run()
	return j, nil
}

// examine looks at a file without changing it: bbolt maps it into memory, and
// would be killed by a page that is not there.
func examine(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() == 0 {
		return fmt.Errorf("%s: %w: it is empty or not a regular file", path, ErrForeign)
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout, ReadOnly: true})
	if err != nil {
		return named(path, err)
	}
	defer db.Close()
	return db.View(func(tx *bbolt.Tx) error {
		if tx.Size() > info.Size() {
			return fmt.Errorf("%s: %w: it has %d bytes and should have %d; put it aside to start without it", path, ErrCorrupt, info.Size(), tx.Size())
		}
		return checkFormat(tx, path)
	})
}

// named translates bbolt's errors into those of this package.
func named(path string, err error) error {
	switch {
	case errors.Is(err, errTimeout):
		return fmt.Errorf("%s: %w", path, ErrInUse)
	case errors.Is(err, errInvalid), errors.Is(err, errVersion), errors.Is(err, errChecksum):
		return fmt.Errorf("%s: %w: %w", path, ErrForeign, err)
	}
	return fmt.Errorf("%s: %w", path, err)
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

// Stats returns the journal's figures.
func (j *Journal) Stats() Stats {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.stats
	for _, x := range j.waiting {
		s.Waiting += len(x.ops)
		s.WaitingBytes += x.bytes
	}
	if info, err := os.Stat(j.path); err == nil {
		s.Bytes = info.Size()
	}
	return s
}

// Close commits what waits, until ctx is done, and closes the journal. What could not be committed is answered with ErrClosed.
func (j *Journal) Close(ctx context.Context) error {
	j.mu.Lock()
	already := j.closing
	j.closing = true
	if !already {
		j.giveUp = ctx
	}
	j.mu.Unlock()
	j.signal()
	<-j.answers.ended
	if already {
		return nil
	}
	return errors.Join(j.noteClean(), j.db.Close())
}
