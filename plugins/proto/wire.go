package proto

import (
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// Every task passes as a Task and a Result, and the generated codec, which goes by
// reflection, takes longer for them than the rest of a short task's way through a slot.
// What is here encodes and decodes the messages as they mostly are, to the same bytes and
// values. It reports false for all else (unknown or repeated fields, labels, text that is
// long or not UTF-8, damage), and the generated codec has the word then.

// mostText is how much text a message has at most that is encoded here: the caller bounds
// the size of longer ones before there is memory taken for them.
const mostText = 32 << 10

// The numbers of the fields, as executor.proto has them.
const (
	taskSeq           protowire.Number = 1
	taskID            protowire.Number = 2
	taskScriptPath    protowire.Number = 3
	taskFunction      protowire.Number = 4
	taskType          protowire.Number = 5
	taskAttempt       protowire.Number = 6
	taskTraceparent   protowire.Number = 9
	taskSource        protowire.Number = 10
	taskTimeout       protowire.Number = 11
	taskProbe         protowire.Number = 12
	taskRunAs         protowire.Number = 13
	taskSlot          protowire.Number = 14
	taskPayloadLength protowire.Number = 15
)

// AppendTask appends m to b; false: b is as it was.
func AppendTask(b []byte, m *Task) ([]byte, bool) {
	if len(m.Labels) > 0 || len(m.Env) > 0 || m.Cwd != "" || len(m.unknownFields) > 0 || !areText(m.TaskId, m.ScriptPath, m.Function, m.TaskType, m.Traceparent, m.Source) {
		return b, false
	}
	b = appendNumber(b, taskSeq, m.Seq)
	b = appendText(b, taskID, m.TaskId)
	b = appendText(b, taskScriptPath, m.ScriptPath)
	b = appendText(b, taskFunction, m.Function)
	b = appendText(b, taskType, m.TaskType)
	b = appendNumber(b, taskAttempt, uint64(m.Attempt))
	b = appendText(b, taskTraceparent, m.Traceparent)
	b = appendText(b, taskSource, m.Source)
	b = appendNumber(b, taskTimeout, uint64(m.TimeoutNs))
	b = appendNumber(b, taskProbe, protowire.EncodeBool(m.Probe))
	if m.RunAs != nil {
		b = protowire.AppendVarint(protowire.AppendTag(b, taskRunAs, protowire.VarintType), uint64(*m.RunAs))
	}
	b = appendNumber(b, taskSlot, uint64(m.Slot))
	return appendNumber(b, taskPayloadLength, m.PayloadLength), true
}

// ReadTask makes m what b says; false: m may be anything. A text that m has already and
// that comes again is not copied anew.
func ReadTask(m *Task, b []byte) bool {
	was := [...]string{m.TaskId, m.ScriptPath, m.Function, m.TaskType, m.Traceparent}
	m.Reset()
	for r := (reader{rest: b}); ; {
		switch r.next() {
		case 0:
			return r.ended()
		case taskSeq:
			m.Seq = r.number()
		case taskID:
			m.TaskId = r.text(was[0])
		case taskScriptPath:
			m.ScriptPath = r.text(was[1])
		case taskFunction:
			m.Function = r.text(was[2])
		case taskType:
			m.TaskType = r.text(was[3])
		case taskAttempt:
			m.Attempt = uint32(r.number())
		case taskTraceparent:
			m.Traceparent = r.text(was[4])
		case taskSource:
			m.Source = r.text("")
		case taskTimeout:
			m.TimeoutNs = int64(r.number())
		case taskProbe:
			m.Probe = protowire.DecodeBool(r.number())
		case taskRunAs:
			uid := uint32(r.number())
			m.RunAs = &uid
		case taskSlot:
			m.Slot = uint32(r.number())
		case taskPayloadLength:
			m.PayloadLength = r.number()
		default:
			return false
		}
	}
}

// AppendLength puts the length of what follows at before it, where a byte has been left for
// it.
func AppendLength(b []byte, at int) []byte {
	n := len(b) - at - 1
	if more := protowire.SizeVarint(uint64(n)) - 1; more > 0 {
		b = append(b, "\x00\x00\x00\x00\x00\x00\x00\x00\x00"[:more]...)
		copy(b[at+1+more:], b[at+1:at+1+n])
	}
	protowire.AppendVarint(b[:at], uint64(n))
	return b
}

func areText(texts ...string) bool {
	size := 0
	for _, t := range texts {
		if size += len(t); size > mostText || !utf8.ValidString(t) {
			return false
		}
	}
	return true
}

// appendNumber and appendText leave out what is the zero value.
func appendNumber(b []byte, field protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

func appendText(b []byte, field protowire.Number, text string) []byte {
	if text == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), text)
}

// reader reads the fields of a message one by one. Once something is not as it expects, it
// reports no further field, and that it has not ended.
type reader struct {
	rest []byte
	typ  protowire.Type
	bad  bool
}

// next is the number of the next field, whose value must be read then; 0: there is none.
func (r *reader) next() protowire.Number {
	if r.bad || len(r.rest) == 0 {
		return 0
	}
	field, typ, n := protowire.ConsumeTag(r.rest)
	if n < 0 {
		r.bad = true
		return 0
	}
	r.rest, r.typ = r.rest[n:], typ
	return field
}

// ended reports whether all has been read and was as expected.
func (r *reader) ended() bool { return !r.bad && len(r.rest) == 0 }

func (r *reader) number() uint64 {
	v, n := protowire.ConsumeVarint(r.rest)
	if r.typ != protowire.VarintType || n < 0 {
		r.bad = true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) bytes() []byte {
	v, n := protowire.ConsumeBytes(r.rest)
	if r.typ != protowire.BytesType || n < 0 {
		r.bad = true
		return nil
	}
	r.rest = r.rest[n:]
	return v
}

// text is same if it is that.
func (r *reader) text(same string) string {
	v := r.bytes()
	switch {
	case string(v) == same:
		return same
	case !utf8.Valid(v):
		r.bad = true
		return ""
	}
	return string(v)
}
