package journal

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"

	"cpulb/daemon/task"

	"google.golang.org/protobuf/encoding/protowire"
)

// A record of the log is a header of 12 bytes and a payload. The header is three numbers,
// the lowest byte first: the payload's length, its CRC32C, and the CRC32C of these two
// and of the record's place. So a record that was moved is as wrong as one with a bit
// turned over, and where the header holds the length does too.
//
// The payload begins with the kind, whose highest bit says that the next record belongs
// to the same change. The key follows: a task's time of submission or a batch's id, for
// the kinds that have one, and for events the number of the chunk and whether it is whole. The rest is the message (encode.go).
const headerBytes = 12

// maxPayload bounds what a length may say.
const maxPayload = 1 << 31

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// The ways in which a record can't be read.
var (
	errCut     = errors.New("the record ends too soon")
	errHeader  = errors.New("the head of the record does not match its checksum")
	errPayload = errors.New("the record does not match its checksum")
	errKind    = errors.New("the record is of no known kind, or without its key")
)

type kind byte

const (
	kindAccepted kind = iota + 1
	kindProgress
	kindEnded
	kindForget
	kindEvents
	kindBatch
	kindForgetBatch
	kindSchedules
	// kindMark says up to where the log was synced, and which segments are needed.
	kindMark
	// kindClosed is a mark, and the last record of a journal that was closed in order.
	kindClosed
	// Since format 4.
	kindTombstone
	kindGone
	kinds

	more kind = 0x80
)

// ofTask: its key is a task's time of submission.
func (k kind) ofTask() bool { return k <= kindEvents || k == kindTombstone }

// ofBatch: its key is a batch's id.
func (k kind) ofBatch() bool { return k == kindBatch || k == kindForgetBatch || k == kindGone }

// isMark: its message is a mark.
func (k kind) isMark() bool { return k == kindMark || k == kindClosed }

// kind returns the kind of record that o is written as.
func (o *Op) kind() kind {
	switch {
	case o.Accepted != nil:
		return kindAccepted
	case o.Progress != nil:
		return kindProgress
	case o.Ended != nil:
		return kindEnded
	case o.Events != nil:
		return kindEvents
	case o.Batch != nil && o.Forget:
		return kindForgetBatch
	case o.Batch != nil:
		return kindBatch
	case o.Gone != nil:
		return kindGone
	case o.Tombstone != nil:
		return kindTombstone
	case o.Forget:
		return kindForget
	}
	return kindSchedules
}

// key is what a record is about: a task, a batch, or neither.
type key struct {
	stamp int64
	batch task.ID
}

func (o *Op) key() key {
	switch {
	case o.Accepted != nil:
		return key{stamp: o.Accepted.Submitted.UnixNano()}
	case o.Batch != nil:
		return key{batch: o.Batch.ID}
	case o.Gone != nil:
		return key{batch: o.Gone.ID}
	case o.Submitted.IsZero():
		return key{}
	}
	return key{stamp: o.Submitted.UnixNano()}
}

// appendPayload appends o as the payload of a record.
func (o *Op) appendPayload(b []byte) []byte {
	k, key := o.kind(), o.key()
	b = append(b, byte(k))
	switch k {
	case kindAccepted:
		return o.Accepted.encode(binary.BigEndian.AppendUint64(b, uint64(key.stamp)))
	case kindProgress:
		return o.Progress.encode(binary.BigEndian.AppendUint64(b, uint64(key.stamp)))
	case kindEnded:
		return o.Ended.encode(binary.BigEndian.AppendUint64(b, uint64(key.stamp)))
	case kindForget:
		return binary.BigEndian.AppendUint64(b, uint64(key.stamp))
	case kindEvents:
		b = binary.BigEndian.AppendUint64(b, uint64(key.stamp))
		b = append(binary.LittleEndian.AppendUint32(b, o.Events.Chunk), byte(protowire.EncodeBool(o.Events.Whole)))
		return o.Events.encode(b)
	case kindBatch:
		return o.Batch.encode(append(b, key.batch[:]...))
	case kindForgetBatch:
		return append(b, key.batch[:]...)
	case kindGone:
		return o.Gone.encode(append(b, key.batch[:]...))
	case kindTombstone:
		return o.Tombstone.encode(binary.BigEndian.AppendUint64(b, uint64(key.stamp)))
	}
	return encodeSchedules(b, o.Schedules)
}

// record is one record as it was read.
type record struct {
	kind kind
	more bool // the next one belongs to the same change
	key  key
	// chunk and whole are as in Events.
	chunk   uint32
	whole   bool
	message []byte
	size    int64 // on disk
}

// parsePayload takes a payload apart. The message is part of it.
func parsePayload(payload []byte) (r record, err error) {
	if len(payload) == 0 {
		return r, errKind
	}
	r.kind, r.more = kind(payload[0])&^more, kind(payload[0])&more != 0
	rest := payload[1:]
	switch {
	case r.kind == 0 || r.kind >= kinds:
		return r, errKind
	case r.kind.ofTask():
		if len(rest) < 8 {
			return r, errKind
		}
		r.key.stamp, rest = int64(binary.BigEndian.Uint64(rest)), rest[8:]
		if r.kind != kindEvents {
			break
		}
		if len(rest) < 5 {
			return r, errKind
		}
		r.chunk, r.whole, rest = binary.LittleEndian.Uint32(rest), rest[4] != 0, rest[5:]
	case r.kind.ofBatch():
		if len(rest) < len(r.key.batch) {
			return r, errKind
		}
		rest = rest[copy(r.key.batch[:], rest):]
	}
	r.message, r.size = rest, headerBytes+int64(len(payload))
	return r, nil
}

// position is a place in the log.
type position struct {
	segment uint64
	offset  int64
}

func (p position) before(q position) bool {
	return p.segment < q.segment || p.segment == q.segment && p.offset < q.offset
}

// check is the checksum of a header that stands at p.
func (p position) check(header []byte) uint32 {
	var b [24]byte
	binary.LittleEndian.PutUint64(b[:], p.segment)
	binary.LittleEndian.PutUint64(b[8:], uint64(p.offset))
	copy(b[16:], header[:8])
	return crc32.Checksum(b[:], castagnoli)
}

// appendRecord appends a record that is to stand at p; fill appends its payload.
func appendRecord(b []byte, p position, fill func([]byte) []byte) []byte {
	at := len(b)
	b = fill(appendHeader(b))
	seal(b[at:], p)
	return b
}

// appendHeader appends room for a header, which seal fills in once the payload is there.
func appendHeader(b []byte) []byte { return append(b, make([]byte, headerBytes)...) }

func seal(b []byte, p position) {
	payload := b[headerBytes:]
	binary.LittleEndian.PutUint32(b, uint32(len(payload)))
	binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(payload, castagnoli))
	binary.LittleEndian.PutUint32(b[8:], p.check(b))
}

// lengthAt returns the length of the payload of the record whose header this is.
func lengthAt(header []byte, p position) (int64, error) {
	if len(header) < headerBytes {
		return 0, errCut
	}
	n := binary.LittleEndian.Uint32(header)
	if binary.LittleEndian.Uint32(header[8:]) != p.check(header) || n == 0 || n > maxPayload {
		return 0, errHeader
	}
	return int64(n), nil
}

// readRecord reads the record at p, with which data begin. The message is part of data.
func readRecord(data []byte, p position) (record, error) {
	n, err := lengthAt(data, p)
	if err != nil {
		return record{}, err
	}
	if n > int64(len(data)-headerBytes) {
		return record{}, errCut
	}
	payload := data[headerBytes : headerBytes+n]
	if crc32.Checksum(payload, castagnoli) != binary.LittleEndian.Uint32(data[4:]) {
		return record{}, errPayload
	}
	return parsePayload(payload)
}

// mark is the message of a mark: up to where the log was synced, and the first segment
// that is needed.
type mark struct {
	synced position
	first  uint64
}

const markBytes = 24

func (m mark) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, m.synced.segment)
	b = binary.LittleEndian.AppendUint64(b, uint64(m.synced.offset))
	return binary.LittleEndian.AppendUint64(b, m.first)
}

func parseMark(message []byte) (m mark, ok bool) {
	if len(message) < markBytes {
		return m, false
	}
	m.synced.segment = binary.LittleEndian.Uint64(message)
	m.synced.offset = int64(binary.LittleEndian.Uint64(message[8:]))
	m.first = binary.LittleEndian.Uint64(message[16:])
	return m, true
}

func timeOf(stamp int64) time.Time { return time.Unix(0, stamp) }
