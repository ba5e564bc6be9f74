package python

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"testing"

	"cpulb/daemon/task"
	"cpulb/plugins"
)

// emitted keeps what a task emits, as text: a number may be none.
type emitted []string

func (e *emitted) Partial(value []byte) { *e = append(*e, fmt.Sprintf("partial %q", value)) }
func (e *emitted) Progress(fraction float64, message string) {
	*e = append(*e, fmt.Sprintf("progress %v %q", fraction, message))
}
func (e *emitted) Output(to plugins.Stream, text string) {
	*e = append(*e, fmt.Sprintf("output %d %q", to, text))
}
func (e *emitted) Log(level, message string) { *e = append(*e, fmt.Sprintf("%s %q", level, message)) }

// frame is one, as a task's process sends it.
func frame(kind int64, number float64, text string) []byte {
	b := binary.NativeEndian.AppendUint64(nil, uint64(kind))
	b = binary.NativeEndian.AppendUint64(b, math.Float64bits(number))
	return append(binary.NativeEndian.AppendUint64(b, uint64(len(text))), text...)
}

// fuzzedResult bounds the results of these tests.
const fuzzedResult = 1 << 10

// taken is what comes of bytes that arrive in parts of at most so many.
func taken(sent []byte, most int) (*taskRun, emitted, bool) {
	e := &Executor{apart: &isolation{maxTasks: 1}, conf: plugins.Configuration{ResultBytes: fuzzedResult}}
	var events emitted
	r := &taskRun{slot: &taskSlot{executor: e}, task: &plugins.Task{ID: "task"}, emit: &events}
	for len(sent) > 0 {
		n := min(most, len(sent))
		r.pending, sent = append(r.pending, sent[:n]...), sent[n:]
		if !r.frames() {
			return r, events, false
		}
	}
	return r, events, true
}

// FuzzFrames: whatever a script forges on its process's connection is taken or refused, in whatever parts it
// comes, without an end of the worker; what has completed has a value, and what is kept is bounded.
func FuzzFrames(f *testing.F) {
	head := `{"wall":1,"cpu":1,"stopped":false,"children":true,"size":1}`
	f.Add([]byte{}, 1)
	f.Add(frame(kindTaskEnded, float64(len(head)), head+"1"), 7)
	f.Add(append(frame(kindProgress, 0.5, "half"), frame(kindTaskEnded, 2, "{}{")...), 30)
	f.Add(append(frame(kindAsked, 1, ""), frame(kindRaised, 0, "")...), 5)
	f.Add(frame(kindTaskEnded, math.NaN(), "{}"), 24)
	f.Add(frame(kindTaskEnded, math.Inf(1), "{}"), 24)
	f.Add(frame(kindTaskEnded, -1, "{}"), 24)
	f.Add(frame(kindTooLarge, math.NaN(), ""), 24)
	f.Add(frame(kindTaskEnded, 28, `{"head":"{\"fault\":1}"}    1`), 24)
	f.Add(append(frame(kindLine, 0, "said"), frame(math.MinInt64, 0, "nobody's")...), 3)
	f.Add(binary.NativeEndian.AppendUint64(frame(kindLine, 0, "")[:16], math.MaxUint64), 24)
	f.Fuzz(func(t *testing.T, sent []byte, most int) {
		whole, events, sound := taken(sent, len(sent)+1)
		parts, sameEvents, sameSound := taken(sent, 1+most&63)
		if sound != sameSound || !reflect.DeepEqual(events, sameEvents) || whole.answered != parts.answered || whole.children != parts.children ||
			whole.heeded != parts.heeded || !reflect.DeepEqual(whole.result, parts.result) {
			t.Errorf("at once: %v %v %+v\nin parts: %v %v %+v", sound, events, whole.result, sameSound, sameEvents, parts.result)
		}
		for _, r := range []*taskRun{whole, parts} {
			if r.answered && r.result.Status != task.Completed && r.result.Error == nil {
				t.Error("an answer that says nothing")
			}
			if r.result.Status == task.Completed && !json.Valid(r.result.Data) {
				t.Errorf("a value that is none: %q", r.result.Data)
			}
			if sound && len(r.pending) >= frameHeader {
				if size := binary.NativeEndian.Uint64(r.pending[16:]); size > mostText+fuzzedResult {
					t.Errorf("%d bytes are waited for", size)
				}
			}
		}
	})
}
