package proto

import "google.golang.org/protobuf/encoding/protowire"

const (
	eventSeq           protowire.Number = 1
	eventStarted       protowire.Number = 2
	eventResult        protowire.Number = 3
	eventSlot          protowire.Number = 14
	eventPayloadLength protowire.Number = 15
)

const (
	resultOutcome   protowire.Number = 1
	resultError     protowire.Number = 2
	resultStdout    protowire.Number = 3
	resultStderr    protowire.Number = 4
	resultTruncated protowire.Number = 5
	resultRun       protowire.Number = 6
	resultCPU       protowire.Number = 7
	resultLockWait  protowire.Number = 8
	resultFault     protowire.Number = 9
	resultSpent     protowire.Number = 10
)

// AppendEvent appends m to b if it is a Started, or the Result of a script that raised
// nothing; false: b is as it was.
func AppendEvent(b []byte, m *Event) ([]byte, bool) {
	if len(m.unknownFields) > 0 {
		return b, false
	}
	switch k := m.Kind.(type) { // which the generated codec has last
	case *Event_Started:
		if k.Started == nil || len(k.Started.unknownFields) > 0 {
			return b, false
		}
		b = appendEventNumbers(b, m)
		return append(protowire.AppendTag(b, eventStarted, protowire.BytesType), 0), true
	case *Event_Result:
		if !isPlain(k.Result) {
			return b, false
		}
		b = protowire.AppendTag(appendEventNumbers(b, m), eventResult, protowire.BytesType)
		at := len(b)
		return AppendLength(appendResult(append(b, 0), k.Result), at), true
	}
	return b, false
}

func appendEventNumbers(b []byte, m *Event) []byte {
	b = appendNumber(b, eventSeq, m.Seq)
	b = appendNumber(b, eventSlot, uint64(m.Slot))
	return appendNumber(b, eventPayloadLength, m.PayloadLength)
}

func isPlain(r *Result) bool {
	return r != nil && r.Error == nil && len(r.unknownFields) == 0 && areText(r.Stdout, r.Stderr)
}

func appendResult(b []byte, r *Result) []byte {
	b = appendNumber(b, resultOutcome, uint64(r.Outcome))
	b = appendText(b, resultStdout, r.Stdout)
	b = appendText(b, resultStderr, r.Stderr)
	b = appendNumber(b, resultTruncated, protowire.EncodeBool(r.Truncated))
	b = appendNumber(b, resultRun, r.RunNs)
	b = appendNumber(b, resultCPU, r.CpuNs)
	b = appendNumber(b, resultLockWait, r.LockWaitNs)
	b = appendNumber(b, resultFault, uint64(r.Fault))
	return appendNumber(b, resultSpent, protowire.EncodeBool(r.Spent))
}

// ReadEvent makes m what b says, if that is a Started or the Result of a script that raised
// nothing; false: m may be anything. The Result that m had is used again.
func ReadEvent(m *Event, b []byte) bool {
	kind, _ := m.Kind.(*Event_Result)
	m.Reset()
	for r := (reader{rest: b}); ; {
		switch r.next() {
		case 0:
			return r.ended() && m.Kind != nil
		case eventSeq:
			m.Seq = r.number()
		case eventStarted:
			if m.Kind != nil || len(r.bytes()) > 0 {
				return false
			}
			m.Kind = &Event_Started{Started: new(Started)}
		case eventResult:
			if kind == nil || kind.Result == nil {
				kind = &Event_Result{Result: new(Result)}
			}
			if m.Kind != nil || !readResult(kind.Result, r.bytes()) {
				return false
			}
			m.Kind = kind
		case eventSlot:
			m.Slot = uint32(r.number())
		case eventPayloadLength:
			m.PayloadLength = r.number()
		default:
			return false
		}
	}
}

func readResult(m *Result, b []byte) bool {
	m.Reset()
	for r := (reader{rest: b}); ; {
		switch r.next() {
		case 0:
			return r.ended()
		case resultOutcome:
			m.Outcome = Outcome(r.number())
		case resultStdout:
			m.Stdout = r.text("")
		case resultStderr:
			m.Stderr = r.text("")
		case resultTruncated:
			m.Truncated = protowire.DecodeBool(r.number())
		case resultRun:
			m.RunNs = r.number()
		case resultCPU:
			m.CpuNs = r.number()
		case resultLockWait:
			m.LockWaitNs = r.number()
		case resultFault:
			m.Fault = Fault(r.number())
		case resultSpent:
			m.Spent = protowire.DecodeBool(r.number())
		default:
			return false
		}
	}
}
