package journal

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"cpulb/daemon/task"

	"go.etcd.io/bbolt"
)

// fromFormat1 brings all records of format 1 to format 2.
func fromFormat1(tx *bbolt.Tx) error {
	for name, convert := range map[string]func(key, value []byte) ([]byte, error){
		bucketTasks:    acceptedOf1,
		bucketProgress: func(_, value []byte) ([]byte, error) { return progressOf1(value) },
		bucketResults:  func(_, value []byte) ([]byte, error) { return endedOf1(value) },
	} {
		b := tx.Bucket([]byte(name))
		c := b.Cursor()
		for key, value := c.First(); key != nil; key, value = c.Next() {
			again, err := convert(key, value)
			if err != nil {
				return fmt.Errorf("%w: %s: the task of %s: %w", ErrCorrupt, name, keyTime(key), err)
			}
			if err := b.Put(key, again); err != nil {
				return err
			}
		}
	}
	about := tx.Bucket([]byte(bucketAbout))
	schedules, err := schedulesOf1(about.Get([]byte(keySchedules)))
	if err != nil {
		return err
	}
	return about.Put([]byte(keySchedules), encodeSchedules([]byte{}, schedules))
}

var errShort = errors.New("a record ends too soon")

// reader1 takes a record of format 1 apart; after an error it gives zeros.
type reader1 struct {
	rest []byte
	err  error
}

func (r *reader1) number() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.rest, r.err = nil, errShort
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *reader1) bytes(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.rest, r.err = nil, errShort
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

// An accepted task was: owner, start and the length of the pool's name as varints,
// that name, the 16 bytes of the batch, and the task's JSON.
func acceptedOf1(key, value []byte) ([]byte, error) {
	if len(key) != 8 {
		return nil, errShort
	}
	r := reader1{rest: value}
	a := Accepted{Submitted: timeOf(key), Owner: uint32(r.number()), Start: r.number()}
	a.Pool = string(r.bytes(r.number()))
	copy(a.Batch[:], r.bytes(uint64(len(a.Batch))))
	if r.err != nil {
		return nil, r.err
	}
	var err error
	if a.Task, err = task.Decode(r.rest); err != nil {
		return nil, err
	}
	return a.encode(nil), nil
}

// Progress was JSON.
func progressOf1(value []byte) ([]byte, error) {
	var p struct {
		Attempts   int       `json:"attempts"`
		Retries    int       `json:"retries"`
		Deaths     int       `json:"deaths"`
		NotBefore  time.Time `json:"not_before"`
		Dispatched bool      `json:"dispatched"`
		Stopping   bool      `json:"stopping"`
	}
	if err := json.Unmarshal(value, &p); err != nil {
		return nil, err
	}
	again := Progress{Attempts: p.Attempts, Retries: p.Retries, Deaths: p.Deaths, NotBefore: p.NotBefore, Dispatched: p.Dispatched,
		Stopping: p.Stopping, Suspect: p.Deaths > 0}
	return again.encode([]byte{}), nil
}

// An end was: the cursor and the length of the Result's JSON without its data as
// varints, that JSON, and the data as they are.
func endedOf1(value []byte) ([]byte, error) {
	r := reader1{rest: value}
	e := Ended{Result: &task.Result{}, Cursor: task.Cursor{Attempt: int(r.number()), Seq: r.number()}}
	text := r.bytes(r.number())
	if r.err != nil {
		return nil, r.err
	}
	if err := json.Unmarshal(text, e.Result); err != nil {
		return nil, err
	}
	e.Result.Data = r.rest
	return e.encode(nil), nil
}

// Schedules were JSON: when each was last looked at.
func schedulesOf1(text []byte) (map[string]Schedule, error) {
	if text == nil {
		return nil, nil
	}
	var until map[string]time.Time
	if err := json.Unmarshal(text, &until); err != nil {
		return nil, fmt.Errorf("%w: schedules: %w", ErrCorrupt, err)
	}
	all := map[string]Schedule{}
	for name, at := range until {
		all[name] = Schedule{Until: at}
	}
	return all, nil
}
