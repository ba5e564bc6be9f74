package journal

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

var (
	errTimeout  = bolterrors.ErrTimeout
	errInvalid  = bolterrors.ErrInvalid
	errVersion  = bolterrors.ErrVersionMismatch
	errChecksum = bolterrors.ErrChecksum
)

// format is the version of what is in the buckets. A journal with an older one is
// brought up to date by Open; one with a newer one is refused, as this program
// can't know what it would lose.
const format = 2

// The buckets. Keys of the first three are the task's time of submission, in
// nanoseconds since 1970, as 8 bytes with the first being the highest: what is new
// comes at the end, and pages fill up.
const (
	bucketTasks    = "tasks"
	bucketProgress = "progress"
	bucketResults  = "results"
	bucketBatches  = "batches" // by id
	bucketAbout    = "about"
)

func buckets() []string {
	return []string{bucketTasks, bucketProgress, bucketResults, bucketBatches, bucketAbout}
}

// The keys of bucketAbout.
const (
	keyFormat    = "format"
	keyStart     = "boot"
	keyMachine   = "machine" // the machine's boot, and the first start in it
	keyClean     = "clean"   // the start that ended in order
	keySchedules = "schedules"
)

// change is one Op in the form of the store: value nil deletes.
type change struct {
	bucket     string
	key, value []byte
}

func (c *change) apply(tx *bbolt.Tx) error {
	b := tx.Bucket([]byte(c.bucket))
	if c.value == nil {
		return b.Delete(c.key)
	}
	if c.bucket != bucketAbout {
		b.FillPercent = 0.95 // keys only grow
	}
	return b.Put(c.key, c.value)
}

func keyOf(t time.Time) []byte { return binary.BigEndian.AppendUint64(nil, uint64(t.UnixNano())) }

func timeOf(key []byte) time.Time { return time.Unix(0, int64(binary.BigEndian.Uint64(key))) }

// encode appends what o does.
func (o *Op) encode(all []change) []change {
	key := keyOf(o.Submitted)
	switch {
	case o.Accepted != nil:
		return append(all, change{bucketTasks, keyOf(o.Accepted.Submitted), o.Accepted.encode(nil)})
	case o.Progress != nil:
		return append(all, change{bucketProgress, key, o.Progress.encode([]byte{})})
	case o.Ended != nil:
		return append(all, change{bucketResults, key, o.Ended.encode(nil)}, change{bucketProgress, key, nil})
	case o.Batch != nil && o.Forget:
		return append(all, change{bucketBatches, o.Batch.ID[:], nil})
	case o.Batch != nil:
		return append(all, change{bucketBatches, o.Batch.ID[:], o.Batch.encode(nil)})
	case o.Forget:
		return append(all, change{bucketTasks, key, nil}, change{bucketProgress, key, nil}, change{bucketResults, key, nil})
	}
	return append(all, change{bucketAbout, []byte(keySchedules), encodeSchedules([]byte{}, o.Schedules)})
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
	case n > format:
		return fmt.Errorf("%s: %w: it has format %d, and this daemon knows up to %d", path, ErrNewer, n, format)
	}
	return nil
}
