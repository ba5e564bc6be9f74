package journal

import (
	"bytes"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"cpulb/daemon/task"

	"go.etcd.io/bbolt"
)

// upgrades are the steps from each format to the next, oldest first; Open takes
// those that are needed in its one transaction.
func upgrades() map[int]func(*bbolt.Tx) error {
	return map[int]func(*bbolt.Tx) error{1: fromFormat1}
}

// begin makes the buckets of a new journal, brings an old one up to date, and
// counts the start.
func (j *Journal) begin() error {
	return j.db.Update(func(tx *bbolt.Tx) error {
		fresh := tx.Bucket([]byte(bucketAbout)) == nil
		for _, name := range buckets() {
			if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
				return err
			}
		}
		about := tx.Bucket([]byte(bucketAbout))
		if !fresh {
			if err := upgrade(tx, about, upgrades()); err != nil {
				return err
			}
		}
		if err := about.Put([]byte(keyFormat), strconv.AppendInt(nil, format, 10)); err != nil {
			return err
		}
		if err := j.readBatches(tx); err != nil {
			return err
		}
		return j.count(about)
	})
}

// upgrade takes the steps from the format that the journal has to the present one.
func upgrade(tx *bbolt.Tx, about *bbolt.Bucket, steps map[int]func(*bbolt.Tx) error) error {
	from, err := strconv.Atoi(string(about.Get([]byte(keyFormat))))
	if err != nil {
		return fmt.Errorf("%w: format: %w", ErrCorrupt, err)
	}
	for ; from < format; from++ {
		if err := steps[from](tx); err != nil {
			return fmt.Errorf("upgrade from format %d: %w", from, err)
		}
	}
	return nil
}

// count reads what is kept beside tasks, and notes one start more.
func (j *Journal) count(about *bbolt.Bucket) (err error) {
	if text := about.Get([]byte(keyStart)); text != nil {
		if j.start, err = strconv.ParseUint(string(text), 10, 64); err != nil {
			return fmt.Errorf("%w: boot: %w", ErrCorrupt, err)
		}
	}
	j.clean = string(about.Get([]byte(keyClean))) == strconv.FormatUint(j.start, 10)
	j.start++
	if j.schedules, err = decodeSchedules(about.Get([]byte(keySchedules))); err != nil {
		return fmt.Errorf("%w: schedules: %w", ErrCorrupt, err)
	}
	if err := j.countInBoot(about); err != nil {
		return err
	}
	return about.Put([]byte(keyStart), strconv.AppendUint(nil, j.start, 10))
}

// countInBoot finds the first start since the machine was booted.
func (j *Journal) countInBoot(about *bbolt.Bucket) error {
	j.firstOfBoot = j.start
	id, first, _ := strings.Cut(string(about.Get([]byte(keyMachine))), " ")
	if n, err := strconv.ParseUint(first, 10, 64); err == nil && id == j.options.MachineBoot && id != "" {
		j.firstOfBoot = n
		return nil
	}
	return about.Put([]byte(keyMachine), fmt.Appendf(nil, "%s %d", j.options.MachineBoot, j.start))
}

// noteClean notes that the journal is closed in order.
func (j *Journal) noteClean() error {
	return j.db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(bucketAbout)).Put([]byte(keyClean), strconv.AppendUint(nil, j.start, 10))
	})
}

// readBatches reads what is kept of batches.
func (j *Journal) readBatches(tx *bbolt.Tx) error {
	j.batches = map[task.ID]Batch{}
	return tx.Bucket([]byte(bucketBatches)).ForEach(func(_, value []byte) error {
		x, err := decodeBatch(value)
		if err != nil {
			return fmt.Errorf("%w: a batch: %w", ErrCorrupt, err)
		}
		j.batches[x.ID] = *x
		return nil
	})
}

// Recover yields every task of which something is kept, in the order of
// submission. It is to be called before the first Append. It stops at the first
// error, which matches ErrCorrupt.
func (j *Journal) Recover() iter.Seq2[Saved, error] {
	return func(yield func(Saved, error) bool) {
		err := j.db.View(func(tx *bbolt.Tx) error {
			progress, results := tx.Bucket([]byte(bucketProgress)), tx.Bucket([]byte(bucketResults))
			c := tx.Bucket([]byte(bucketTasks)).Cursor()
			for key, value := c.First(); key != nil; key, value = c.Next() {
				s, err := saved(key, value, progress.Get(key), results.Get(key))
				if err != nil {
					return fmt.Errorf("%s: %w: the task of %s: %w", j.path, ErrCorrupt, keyTime(key), err)
				}
				if !yield(s, nil) {
					return nil
				}
			}
			return nil
		})
		if err != nil {
			yield(Saved{}, err)
		}
	}
}

func keyTime(key []byte) string {
	if len(key) != 8 {
		return fmt.Sprintf("key %x", key)
	}
	return timeOf(key).UTC().Format(time.RFC3339Nano)
}

// saved puts together what the buckets have of one task.
func saved(key, accepted, progress, end []byte) (s Saved, err error) {
	if s.Accepted, err = decodeAccepted(accepted); err != nil {
		return s, err
	}
	if !bytes.Equal(key, keyOf(s.Submitted)) {
		return s, fmt.Errorf("%w: it stands under %x", errMalformed, key)
	}
	if progress != nil {
		if s.Progress, err = decodeProgress(progress); err != nil {
			return s, err
		}
	}
	if end != nil {
		s.Ended, err = decodeEnded(end)
	}
	return s, err
}
