package journal

import (
	"encoding/json"
	"fmt"
	"iter"
	"strconv"
	"time"

	"go.etcd.io/bbolt"
)

// upgrades are the steps from each format to the next, oldest first; Open takes
// those that are needed in its one transaction.
func upgrades() map[int]func(*bbolt.Tx) error { return map[int]func(*bbolt.Tx) error{} }

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
func (j *Journal) count(about *bbolt.Bucket) error {
	if text := about.Get([]byte(keyBoot)); text != nil {
		n, err := strconv.ParseUint(string(text), 10, 64)
		if err != nil {
			return fmt.Errorf("%w: boot: %w", ErrCorrupt, err)
		}
		j.boot = n
	}
	j.boot++
	j.schedules = map[string]time.Time{}
	if text := about.Get([]byte(keySchedules)); text != nil {
		if err := json.Unmarshal(text, &j.schedules); err != nil {
			return fmt.Errorf("%w: schedules: %w", ErrCorrupt, err)
		}
	}
	return about.Put([]byte(keyBoot), strconv.AppendUint(nil, j.boot, 10))
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
	if s.Accepted, err = decodeAccepted(key, accepted); err != nil {
		return s, err
	}
	if progress != nil {
		s.Progress = &Progress{}
		if err := json.Unmarshal(progress, s.Progress); err != nil {
			return s, err
		}
	}
	if end != nil {
		s.Ended, err = decodeEnded(end)
	}
	return s, err
}
