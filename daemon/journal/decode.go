package journal

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"cpulb/daemon/task"

	"google.golang.org/protobuf/encoding/protowire"
)

var errMalformed = errors.New("a record makes no sense")

// field is one field of a record: a number, or bytes.
type field struct {
	number protowire.Number
	value  uint64
	bytes  []byte
}

func (f *field) int() int                { return int(f.value) }
func (f *field) duration() time.Duration { return time.Duration(f.value) }
func (f *field) bool() bool              { return f.value != 0 }
func (f *field) time() time.Time         { return time.Unix(0, int64(f.value)) }

func (f *field) id() (id task.ID) {
	copy(id[:], f.bytes)
	return id
}

// fields calls take with each field of a record, whose bytes are those of the record.
func fields(record []byte, take func(*field) error) error {
	for len(record) > 0 {
		number, kind, size := protowire.ConsumeTag(record)
		if size < 0 {
			return errMalformed
		}
		f := field{number: number}
		record = record[size:]
		switch kind {
		case protowire.VarintType:
			f.value, size = protowire.ConsumeVarint(record)
		case protowire.Fixed64Type:
			f.value, size = protowire.ConsumeFixed64(record)
		case protowire.BytesType:
			f.bytes, size = protowire.ConsumeBytes(record)
		default:
			return errMalformed
		}
		if size < 0 {
			return errMalformed
		}
		record = record[size:]
		if err := take(&f); err != nil {
			return err
		}
	}
	return nil
}

func decodeAccepted(record []byte) (a Accepted, err error) {
	err = fields(record, func(f *field) (err error) {
		switch f.number {
		case acceptedTask:
			a.Task, err = task.Decode(f.bytes)
		case acceptedOwner:
			a.Owner = uint32(f.value)
		case acceptedSubmitted:
			a.Submitted = f.time()
		case acceptedSubmittedAt:
			a.SubmittedAt = f.time()
		case acceptedUptime:
			a.Uptime = f.duration()
		case acceptedPool:
			a.Pool = string(f.bytes)
		case acceptedBatch:
			a.Batch = f.id()
		case acceptedSchedule:
			a.Schedule = string(f.bytes)
		case acceptedStart:
			a.Start = f.value
		}
		return err
	})
	if a.SubmittedAt.IsZero() {
		a.SubmittedAt = a.Submitted
	}
	if err == nil && a.Task == nil {
		err = fmt.Errorf("%w: it has no task", errMalformed)
	}
	return a, err
}

func decodeProgress(record []byte) (*Progress, error) {
	p := &Progress{}
	return p, fields(record, func(f *field) error {
		switch f.number {
		case progressAttempts:
			p.Attempts = f.int()
		case progressRetries:
			p.Retries = f.int()
		case progressDeaths:
			p.Deaths = f.int()
		case progressLosses:
			p.Losses = f.int()
		case progressNotBefore:
			p.NotBefore = f.time()
		case progressDue:
			p.Due = f.duration()
		case progressDispatched:
			p.Dispatched = f.bool()
		case progressStopping:
			p.Stopping = f.bool()
		case progressSuspect:
			p.Suspect = f.bool()
		case progressStart:
			p.Start = f.value
		case progressFaults:
			p.Faults = f.int()
		case progressFaultsRun:
			p.FaultsRun = f.int()
		}
		return nil
	})
}

func decodeEnded(record []byte) (*Ended, error) {
	e := &Ended{}
	var data json.RawMessage
	var texts struct{ stdout, stderr, message, traceback string }
	err := fields(record, func(f *field) (err error) {
		switch f.number {
		case endedResult:
			e.Result = &task.Result{}
			err = json.Unmarshal(f.bytes, e.Result)
		case endedData:
			data = append(data, f.bytes...)
		case endedAttempt:
			e.Cursor.Attempt = f.int()
		case endedSeq:
			e.Cursor.Seq = f.value
		case endedUptime:
			e.Uptime = f.duration()
		case endedOrder:
			e.Order = f.value
		case endedStart:
			e.Start = f.value
		case endedStdout:
			texts.stdout = string(f.bytes)
		case endedStderr:
			texts.stderr = string(f.bytes)
		case endedMessage:
			texts.message = string(f.bytes)
		case endedTraceback:
			texts.traceback = string(f.bytes)
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case e.Result == nil:
		return nil, fmt.Errorf("%w: it has no result", errMalformed)
	case !e.Result.Status.Terminal():
		return nil, fmt.Errorf("%w: the result of a task that is %s", errMalformed, e.Result.Status)
	}
	r := e.Result
	r.Data, r.Stdout, r.Stderr = data, cmp.Or(texts.stdout, r.Stdout), cmp.Or(texts.stderr, r.Stderr) // in format 3 they are in the JSON
	if x := r.Error; x != nil {
		x.Message, x.Traceback = cmp.Or(texts.message, x.Message), cmp.Or(texts.traceback, x.Traceback)
	}
	return e, nil
}

func decodeTombstone(record []byte) (*Tombstone, error) {
	g := &Tombstone{}
	return g, fields(record, func(f *field) error {
		switch f.number {
		case tombstoneID:
			g.ID = f.id()
		case tombstoneOwner:
			g.Owner = uint32(f.value)
		case tombstoneKey:
			g.Key = string(f.bytes)
		case tombstoneAt:
			g.At = f.time()
		case tombstoneUntil:
			g.Until = f.time()
		case tombstoneUptime:
			g.Uptime = f.duration()
		case tombstoneStart:
			g.Start = f.value
		}
		return nil
	})
}

func decodeBatch(record []byte) (*Batch, error) {
	x := &Batch{Gone: map[task.Status]int{}}
	return x, fields(record, func(f *field) error {
		switch f.number {
		case batchID:
			x.ID = f.id()
		case batchOwner:
			x.Owner = uint32(f.value)
		case batchGone:
			return x.decodeGone(f.bytes)
		case batchJoined:
			return x.decodeJoined(f.bytes)
		}
		return nil
	})
}

func (x *Batch) decodeJoined(record []byte) error {
	at := int64(0)
	for len(record) > 0 {
		since, size := protowire.ConsumeVarint(record)
		if size < 0 {
			return errMalformed
		}
		at += int64(since)
		x.Joined = append(x.Joined, time.Unix(0, at))
		record = record[size:]
	}
	return nil
}

func (x *Batch) decodeGone(record []byte) error {
	var status task.Status
	count := 0
	err := fields(record, func(f *field) error {
		switch f.number {
		case goneStatus:
			status = task.Status(f.value)
		case goneCount:
			count = f.int()
		}
		return nil
	})
	x.Gone[status] = count
	return err
}

func decodeSchedules(record []byte) (map[string]Schedule, error) {
	all := map[string]Schedule{}
	return all, fields(record, func(f *field) error {
		if f.number != schedulesOne {
			return nil
		}
		name, s, err := decodeSchedule(f.bytes)
		all[name] = s
		return err
	})
}

func decodeSchedule(record []byte) (name string, s Schedule, err error) {
	err = fields(record, func(f *field) error {
		switch f.number {
		case scheduleName:
			name = string(f.bytes)
		case scheduleUntil:
			s.Until = f.time()
		case scheduleSpec:
			s.Spec = string(f.bytes)
		case scheduleLast:
			s.Last = f.id()
		case scheduleLastAt:
			s.LastAt = f.time()
		case scheduleSkipped:
			s.Skipped = f.value
		case scheduleReason:
			s.Reason = string(f.bytes)
		case scheduleMissed:
			s.Missed = append(s.Missed, f.time())
		case scheduleRefusedAt:
			s.RefusedAt = f.time()
		case scheduleBegun:
			s.Begun = f.time()
		case scheduleDoneFrom:
			s.Done = append(s.Done, Span{From: f.time()})
		case scheduleDoneTo: // each follows its From
			if n := len(s.Done); n > 0 {
				s.Done[n-1].To = f.time()
			}
		}
		return nil
	})
	return name, s, err
}
