package journal

import (
	"time"

	"cpulb/daemon/task"

	"google.golang.org/protobuf/encoding/protowire"
)

// Records are messages in the encoding of protocol buffers, without generated code:
// tasks and results are JSON within them. A field that is zero is left out, one that is
// not known is passed over: fields can be added, and none may get another meaning.

// The fields of an Accepted.
const (
	acceptedTask protowire.Number = iota + 1
	acceptedOwner
	acceptedSubmitted
	acceptedUptime
	acceptedPool
	acceptedBatch
	acceptedSchedule
	acceptedStart
	acceptedSubmittedAt // unless it is acceptedSubmitted
)

func (a *Accepted) encode(b []byte) []byte {
	b = appendNumber(b, acceptedOwner, uint64(a.Owner))
	b = appendTime(b, acceptedSubmitted, a.Submitted)
	if !a.SubmittedAt.Equal(a.Submitted) {
		b = appendTime(b, acceptedSubmittedAt, a.SubmittedAt)
	}
	b = appendNumber(b, acceptedUptime, uint64(a.Uptime))
	b = appendBytes(b, acceptedPool, a.Pool)
	b = appendID(b, acceptedBatch, a.Batch)
	b = appendBytes(b, acceptedSchedule, a.Schedule)
	b = appendNumber(b, acceptedStart, a.Start)
	return appendSized(b, acceptedTask, a.Task.AppendJSON)
}

// The fields of a Progress.
const (
	progressAttempts protowire.Number = iota + 1
	progressRetries
	progressDeaths
	progressLosses
	progressNotBefore
	progressDue
	progressDispatched
	progressStopping
	progressSuspect
	progressStart
	progressFaults
	progressFaultsRun
)

func (p *Progress) encode(b []byte) []byte {
	b = appendNumber(b, progressAttempts, uint64(p.Attempts))
	b = appendNumber(b, progressRetries, uint64(p.Retries))
	b = appendNumber(b, progressDeaths, uint64(p.Deaths))
	b = appendNumber(b, progressLosses, uint64(p.Losses))
	b = appendTime(b, progressNotBefore, p.NotBefore)
	b = appendNumber(b, progressDue, uint64(p.Due))
	b = appendNumber(b, progressDispatched, protowire.EncodeBool(p.Dispatched))
	b = appendNumber(b, progressStopping, protowire.EncodeBool(p.Stopping))
	b = appendNumber(b, progressSuspect, protowire.EncodeBool(p.Suspect))
	b = appendNumber(b, progressStart, p.Start)
	b = appendNumber(b, progressFaults, uint64(p.Faults))
	return appendNumber(b, progressFaultsRun, uint64(p.FaultsRun))
}

// The fields of an Ended. What may be large of the Result stands beside it, as it is: as
// JSON within JSON it could take six times of that.
const (
	endedResult protowire.Number = iota + 1
	endedData
	endedAttempt
	endedSeq
	endedUptime
	endedOrder
	endedStart
	// Since format 4.
	endedStdout
	endedStderr
	endedMessage
	endedTraceback
)

func (e *Ended) encode(b []byte) []byte {
	b = appendNumber(b, endedAttempt, uint64(e.Cursor.Attempt))
	b = appendNumber(b, endedSeq, e.Cursor.Seq)
	b = appendNumber(b, endedUptime, uint64(e.Uptime))
	b = appendNumber(b, endedOrder, e.Order)
	b = appendNumber(b, endedStart, e.Start)
	r := e.Result
	if x := r.Error; x != nil {
		b = appendBytes(b, endedMessage, x.Message)
		b = appendBytes(b, endedTraceback, x.Traceback)
	}
	b = appendBytes(b, endedStdout, r.Stdout)
	b = appendBytes(b, endedStderr, r.Stderr)
	b = appendSized(b, endedResult, func(b []byte) []byte { return appendHead(b, r) })
	return appendBytes(b, endedData, r.Data)
}

// The fields of a Tombstone.
const (
	tombstoneID protowire.Number = iota + 1
	tombstoneOwner
	tombstoneKey
	tombstoneAt
	tombstoneUntil
	tombstoneUptime
	tombstoneStart
)

func (g *Tombstone) encode(b []byte) []byte {
	b = appendID(b, tombstoneID, g.ID)
	b = appendNumber(b, tombstoneOwner, uint64(g.Owner))
	b = appendBytes(b, tombstoneKey, g.Key)
	b = appendTime(b, tombstoneAt, g.At)
	b = appendTime(b, tombstoneUntil, g.Until)
	b = appendNumber(b, tombstoneUptime, uint64(g.Uptime))
	return appendNumber(b, tombstoneStart, g.Start)
}

// The fields of a Batch, and of a count in it.
const (
	batchID protowire.Number = iota + 1
	batchOwner
	batchGone
	batchJoined

	goneStatus protowire.Number = 1
	goneCount  protowire.Number = 2
)

func (x *Batch) encode(b []byte) []byte {
	b = appendID(b, batchID, x.ID)
	b = appendNumber(b, batchOwner, uint64(x.Owner))
	b = appendGone(b, x.Gone)
	return appendBytes(b, batchJoined, appendTimes(nil, x.Joined))
}

// A Gone is a Batch without members.
func (x *Gone) encode(b []byte) []byte {
	b = appendID(b, batchID, x.ID)
	b = appendNumber(b, batchOwner, uint64(x.Owner))
	return appendGone(b, x.Counts)
}

func appendGone(b []byte, counts map[task.Status]int) []byte {
	for _, status := range task.Statuses() {
		if n := counts[status]; n > 0 {
			b = appendBytes(b, batchGone, appendNumber(appendNumber(nil, goneStatus, uint64(status)), goneCount, uint64(n)))
		}
	}
	return b
}

// appendTimes writes times that follow each other closely: of each the nanoseconds since
// the one before.
func appendTimes(b []byte, all []time.Time) []byte {
	before := int64(0)
	for _, t := range all {
		b = protowire.AppendVarint(b, uint64(t.UnixNano()-before))
		before = t.UnixNano()
	}
	return b
}

// The field of all schedules, and the fields of each.
const (
	schedulesOne protowire.Number = 1

	scheduleName protowire.Number = iota
	scheduleUntil
	scheduleSpec
	scheduleLast
	scheduleLastAt
	scheduleSkipped
	scheduleReason
	scheduleMissed
	scheduleRefusedAt
	scheduleDoneFrom
	scheduleDoneTo
	scheduleBegun
)

func encodeSchedules(b []byte, all map[string]Schedule) []byte {
	for name, s := range all {
		one := appendBytes(nil, scheduleName, name)
		one = appendTime(one, scheduleUntil, s.Until)
		one = appendBytes(one, scheduleSpec, s.Spec)
		one = appendID(one, scheduleLast, s.Last)
		one = appendTime(one, scheduleLastAt, s.LastAt)
		one = appendNumber(one, scheduleSkipped, s.Skipped)
		one = appendBytes(one, scheduleReason, s.Reason)
		for _, at := range s.Missed {
			one = appendTime(one, scheduleMissed, at)
		}
		one = appendTime(one, scheduleRefusedAt, s.RefusedAt)
		one = appendTime(one, scheduleBegun, s.Begun)
		for _, x := range s.Done {
			one = appendTime(appendTime(one, scheduleDoneFrom, x.From), scheduleDoneTo, x.To)
		}
		b = appendBytes(b, schedulesOne, one)
	}
	return b
}

func appendNumber(b []byte, field protowire.Number, n uint64) []byte {
	if n == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), n)
}

func appendBytes[T ~[]byte | ~string](b []byte, field protowire.Number, text T) []byte {
	if len(text) == 0 {
		return b
	}
	b = protowire.AppendVarint(protowire.AppendTag(b, field, protowire.BytesType), uint64(len(text)))
	return append(b, text...)
}

func appendID(b []byte, field protowire.Number, id task.ID) []byte {
	if id == (task.ID{}) {
		return b
	}
	return appendBytes(b, field, id[:])
}

// appendTime writes nanoseconds since 1970.
func appendTime(b []byte, field protowire.Number, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	return protowire.AppendFixed64(protowire.AppendTag(b, field, protowire.Fixed64Type), uint64(t.UnixNano()))
}

// appendSized is appendBytes of what fill appends, which is not copied. Its length takes as
// many bytes as that of most, so that it can be filled in.
func appendSized(b []byte, field protowire.Number, fill func([]byte) []byte) []byte {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	at := len(b)
	const sized = 2 // bytes of a length below 16 KiB
	b = fill(append(b, 0, 0))
	n := len(b) - at - sized
	if n >= 1<<(7*sized) {
		text := append([]byte(nil), b[at+sized:]...)
		return append(protowire.AppendVarint(b[:at], uint64(len(text))), text...)
	}
	b[at], b[at+1] = byte(n)|0x80, byte(n>>7)
	return b
}
