package journal

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"cpulb/daemon/task"

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
const format = 1

// The buckets. Keys of the first three are the task's time of submission, in
// nanoseconds since 1970, as 8 bytes with the first being the highest: what is new
// comes at the end, and pages fill up.
const (
	bucketTasks    = "tasks"
	bucketProgress = "progress"
	bucketResults  = "results"
	bucketAbout    = "about"
)

func buckets() []string { return []string{bucketTasks, bucketProgress, bucketResults, bucketAbout} }

// The keys of bucketAbout.
const (
	keyFormat    = "format"
	keyBoot      = "boot"
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
	switch {
	case o.Accepted != nil:
		return append(all, change{bucketTasks, keyOf(o.Accepted.Submitted), o.Accepted.encode()})
	case o.Progress != nil:
		return append(all, change{bucketProgress, keyOf(o.Submitted), mustJSON(o.Progress)})
	case o.Ended != nil:
		return append(all, change{bucketResults, keyOf(o.Submitted), o.Ended.encode()}, change{bucketProgress, keyOf(o.Submitted), nil})
	case o.Forget:
		key := keyOf(o.Submitted)
		return append(all, change{bucketTasks, key, nil}, change{bucketProgress, key, nil}, change{bucketResults, key, nil})
	}
	return append(all, change{bucketAbout, []byte(keySchedules), mustJSON(o.Schedules)})
}

// mustJSON is for what is always JSON: numbers, texts, times.
func mustJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}

// An accepted task is: owner, boot and the length of the pool's name as varints,
// that name, the 16 bytes of the batch, and the task's JSON.
func (a *Accepted) encode() []byte {
	b := binary.AppendUvarint(make([]byte, 0, 256+len(a.Task.Params)), uint64(a.Owner))
	b = binary.AppendUvarint(b, a.Boot)
	b = binary.AppendUvarint(b, uint64(len(a.Pool)))
	b = append(b, a.Pool...)
	b = append(b, a.Batch[:]...)
	return a.Task.AppendJSON(b)
}

var errShort = errors.New("a record ends too soon")

// reader takes a record apart; after an error it gives zeros.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) number() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.rest, r.err = nil, errShort
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.rest, r.err = nil, errShort
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func decodeAccepted(key, value []byte) (Accepted, error) {
	if len(key) != 8 {
		return Accepted{}, errShort
	}
	r := reader{rest: value}
	a := Accepted{Submitted: timeOf(key), Owner: uint32(r.number()), Boot: r.number()}
	a.Pool = string(r.bytes(r.number()))
	copy(a.Batch[:], r.bytes(uint64(len(a.Batch))))
	if r.err != nil {
		return a, r.err
	}
	var err error
	a.Task, err = task.Decode(r.rest)
	return a, err
}

// An end is: the cursor and the length of the Result's JSON without its data as
// varints, that JSON, and the data as they are, which may be large.
func (e *Ended) encode() []byte {
	head := *e.Result
	data := head.Data
	head.Data = nil
	text := mustJSON(&head)
	b := binary.AppendUvarint(make([]byte, 0, 32+len(text)+len(data)), uint64(e.Cursor.Attempt))
	b = binary.AppendUvarint(b, e.Cursor.Seq)
	b = binary.AppendUvarint(b, uint64(len(text)))
	return append(append(b, text...), data...)
}

func decodeEnded(value []byte) (*Ended, error) {
	r := reader{rest: value}
	e := &Ended{Result: &task.Result{}, Cursor: task.Cursor{Attempt: int(r.number()), Seq: r.number()}}
	text := r.bytes(r.number())
	if r.err != nil {
		return nil, r.err
	}
	if err := json.Unmarshal(text, e.Result); err != nil {
		return nil, err
	}
	e.Result.Data = append(json.RawMessage(nil), r.rest...)
	if !e.Result.Status.Terminal() {
		return nil, fmt.Errorf("the result of a task that is %s", e.Result.Status)
	}
	return e, nil
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
