package journal

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"
)

// Formats 1 and 2 were a bbolt database in one file. It is taken over at the first start:
// the log is made in a folder of its own, and when that is synced the database is moved
// into it, which decides that it has been taken over. Then the folder gets its name and
// the database goes. Whatever interrupts this, the next start goes on.
const (
	boltName   = "journal.db"
	takingOver = "log.new"
	boltFormat = 2
)

// The buckets. Keys of the first three are the task's time of submission, in nanoseconds
// since 1970, as 8 bytes with the first being the highest.
const (
	bucketTasks    = "tasks"
	bucketProgress = "progress"
	bucketResults  = "results"
	bucketBatches  = "batches" // by id
	bucketAbout    = "about"
)

// The keys of bucketAbout.
const (
	keyFormat    = "format"
	keyStart     = "boot"
	keySchedules = "schedules"
)

// takeOver takes over the database in dir, if there is one.
func takeOver(dir string, o Options) error {
	database, made, final := filepath.Join(dir, boltName), filepath.Join(dir, takingOver), filepath.Join(dir, logFolder)
	if _, err := os.Lstat(filepath.Join(made, boltName)); err == nil {
		return finishTakeOver(dir)
	}
	if err := os.RemoveAll(made); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(final, boltName)); err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) {
		return err
	}
	db, err := openBolt(database)
	if db == nil || err != nil {
		return err
	}
	defer db.Close()
	if _, err := os.Lstat(final); err == nil {
		return fmt.Errorf("%s: %w: an earlier version of the daemon made it beside %s; put one of them aside", database, ErrForeign, final)
	}
	o.Log.Info("taking over the journal of an earlier version", "file", database)
	if err := copyBolt(db, made, o); err != nil {
		return fmt.Errorf("%s: %w", database, err)
	}
	if err := os.Rename(database, filepath.Join(made, boltName)); err != nil {
		return err
	}
	return finishTakeOver(dir)
}

// finishTakeOver gives the log its name. The database is within it until that is on disk.
func finishTakeOver(dir string) error {
	made, final := filepath.Join(dir, takingOver), filepath.Join(dir, logFolder)
	if err := errors.Join(syncFolder(made), syncFolder(dir)); err != nil {
		return err
	}
	if err := os.Rename(made, final); err != nil {
		return err
	}
	if err := syncFolder(dir); err != nil {
		return err
	}
	return os.Remove(filepath.Join(final, boltName))
}

// openBolt opens a database to be read; nil: there is none, or there is nothing in it
// because the daemon that was to make it died. It does not change the file: bbolt maps it
// into memory, and would be killed by a page that is not there.
func openBolt(path string) (*bbolt.DB, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w: it is not a regular file", path, ErrForeign)
	}
	if err := examine(path, info.Size()); err != nil {
		if errors.Is(err, errHalfMade) {
			return nil, os.Remove(path)
		}
		return nil, err
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout, ReadOnly: true})
	if err != nil {
		return nil, named(path, err)
	}
	err = view(db, func(tx *bbolt.Tx) error {
		if tx.Size() > info.Size() {
			return fmt.Errorf("%s: %w: it has %d bytes and should have %d; put it aside to start without it", path, ErrCorrupt, info.Size(), tx.Size())
		}
		if name, _ := tx.Cursor().First(); name == nil {
			return errHalfMade
		}
		return checkFormat(tx, path)
	})
	if err == nil {
		return db, nil
	}
	if err = errors.Join(err, db.Close()); errors.Is(err, errHalfMade) {
		return nil, os.Remove(path)
	}
	return nil, err
}

var errHalfMade = errors.New("it was not finished")

// view reads a database. bbolt panics where pages make no sense.
func view(db *bbolt.DB, f func(*bbolt.Tx) error) error {
	return db.View(func(tx *bbolt.Tx) (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("%w: %v", ErrCorrupt, p)
			}
		}()
		return f(tx)
	})
}

// examine looks at the first pages of a database: a daemon that died, or had no room,
// when it made one has left nothing, or a part of these.
func examine(path string, size int64) error {
	const pages = 4 * 4096
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := private(path, f); err != nil {
		return err
	}
	start := make([]byte, min(size, pages))
	if _, err := f.ReadAt(start, 0); err != nil && size > 0 {
		return err
	}
	boltMagic := []byte{0xed, 0xda, 0x0c, 0xed}
	ours := len(start) >= 20 && bytes.Equal(start[16:20], boltMagic)
	switch {
	case ours && size < pages && committed(start):
		return fmt.Errorf("%s: %w: it has only %d bytes; put it aside to start without it", path, ErrCorrupt, size)
	case zeros(start) && size <= pages, ours && size < pages:
		return errHalfMade
	}
	return nil
}

// committed reports whether something was written to a database after it had been made,
// which its first page says.
func committed(start []byte) bool {
	const transaction, made = 64, 1
	return len(start) >= transaction+8 && binary.LittleEndian.Uint64(start[transaction:]) > made
}

// named translates bbolt's errors into those of this package.
func named(path string, err error) error {
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("%s: %w", path, ErrInUse)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrVersionMismatch), errors.Is(err, bolterrors.ErrChecksum):
		return fmt.Errorf("%s: %w: %w", path, ErrForeign, err)
	}
	return fmt.Errorf("%s: %w", path, err)
}

// checkFormat refuses a file that is not a journal, or one of a later version.
func checkFormat(tx *bbolt.Tx, path string) error {
	about := tx.Bucket([]byte(bucketAbout))
	if about == nil {
		return fmt.Errorf("%s: %w: it is a database of something else", path, ErrForeign)
	}
	n, err := strconv.Atoi(string(about.Get([]byte(keyFormat))))
	switch {
	case err != nil || n < 1:
		return fmt.Errorf("%s: %w: it does not state its format", path, ErrForeign)
	case n > boltFormat:
		return fmt.Errorf("%s: %w: it has format %d, and this daemon knows up to %d", path, ErrNewer, n, boltFormat)
	}
	return nil
}

// copyBolt makes a log of what is in a database.
func copyBolt(db *bbolt.DB, path string, o Options) error {
	if err := makePrivate(path); err != nil {
		return err
	}
	return view(db, func(tx *bbolt.Tx) error {
		starts, err := strconv.ParseUint(string(tx.Bucket([]byte(bucketAbout)).Get([]byte(keyStart))), 10, 64)
		if err != nil {
			return fmt.Errorf("%w: boot: %w", ErrCorrupt, err)
		}
		// Without a name of the machine's boot: no uptime was noted, or it is of another.
		l, _, err := openLog(&osFolder{path: path}, "", cmp.Or(o.segmentBytes, segmentBytes), max(starts, 1)-1)
		if err != nil {
			return err
		}
		c := &copying{log: l, tx: tx, convert: string(tx.Bucket([]byte(bucketAbout)).Get([]byte(keyFormat))) == "1"}
		if err = c.all(); err == nil {
			err = c.flush()
		}
		for _, s := range l.segments {
			if err == nil {
				err = s.file.Sync()
			}
		}
		return errors.Join(err, l.close())
	})
}

// copying copies from a database to a log.
type copying struct {
	log     *log
	tx      *bbolt.Tx
	convert bool // it is of format 1
	piece   entry
}

func (c *copying) all() error {
	convert := map[string]func(key, value []byte) ([]byte, error){
		bucketTasks: acceptedOf1, bucketProgress: progressOf1, bucketResults: endedOf1, bucketBatches: nil}
	for _, b := range []struct {
		name string
		kind kind
	}{{bucketTasks, kindAccepted}, {bucketProgress, kindProgress}, {bucketResults, kindEnded}, {bucketBatches, kindBatch}} {
		bucket := c.tx.Bucket([]byte(b.name))
		if bucket == nil {
			continue
		}
		err := bucket.ForEach(func(key, value []byte) (err error) {
			if c.convert {
				if value, err = convert[b.name](key, value); err != nil {
					return fmt.Errorf("%w: %s: the task of %s: %w", ErrCorrupt, b.name, keyTime(key), err)
				}
			}
			return c.add(b.kind, key, value)
		})
		if err != nil {
			return err
		}
	}
	return c.schedules()
}

func (c *copying) schedules() (err error) {
	text := c.tx.Bucket([]byte(bucketAbout)).Get([]byte(keySchedules))
	if c.convert {
		if text, err = schedulesOf1(text); err != nil {
			return err
		}
	}
	return c.add(kindSchedules, nil, text)
}

func (c *copying) add(k kind, key, value []byte) error {
	payload := append(append([]byte{byte(k)}, key...), value...)
	if _, err := parsePayload(payload); err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	c.piece.raw = append(c.piece.raw, payload)
	if c.piece.bytes += int64(len(payload)); c.piece.bytes < pieceBytes {
		return nil
	}
	return c.flush()
}

func (c *copying) flush() error {
	var all []written
	err := c.log.write(func(b []byte, p position) []byte {
		b, all = c.piece.append(b, p, nil)
		return b
	})
	if err != nil {
		return err
	}
	for _, w := range all {
		c.log.index.note(w.record, w.at)
	}
	c.piece = entry{}
	if c.log.active().size >= c.log.limit {
		return c.log.begin()
	}
	return nil
}

func keyTime(key []byte) string {
	if len(key) != 8 {
		return fmt.Sprintf("key %x", key)
	}
	return timeOf(int64(binary.BigEndian.Uint64(key))).UTC().Format(time.RFC3339Nano)
}
