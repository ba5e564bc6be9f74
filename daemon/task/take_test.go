package task

import (
	"bytes"
	"strings"
	"testing"
	"unsafe"
)

// Params that are nearly all of a text that may be kept are part of it; small ones do not
// keep it in memory.
func TestParamsThatAreNearlyAllOfATextThatMayBeKeptAreNotCopied(t *testing.T) {
	params := `"` + strings.Repeat("x", 10_000) + `"`
	task := `{"script_path":"/x.py","params":` + params + `}`
	for _, c := range []struct {
		name string
		text []byte
		part bool
	}{
		{"nearly all", []byte(task), true},
		{"with much room behind", append(make([]byte, 0, 2*len(task)), task...), false},
		{"beside much else", []byte(strings.Replace(task, ",", strings.Repeat(" ", 5000)+",", 1)), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []byte
			if taken, err := Take(c.text); err == nil {
				got = taken.Params
			}
			if string(got) != params {
				t.Fatalf("params of %d bytes", len(got))
			}
			if part := isPart(got, c.text); part != c.part || part && cap(got) != len(got) {
				t.Errorf("part of the text: %v, with room for %d bytes", part, cap(got)-len(got))
			}
		})
	}
	line := []byte(`{"op":"submit","task":` + task + `}`)
	if c, err := TakeCommand(line); err != nil || !isPart(c.Task.Params, line) {
		t.Error("copied", err)
	}
	if c, err := DecodeCommand(line); err != nil || isPart(c.Task.Params, line) || !bytes.Equal(c.Task.Params, []byte(params)) {
		t.Error("not copied", err)
	}
}

func isPart(b, of []byte) bool {
	at, from := uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(unsafe.Pointer(unsafe.SliceData(of)))
	return at >= from && at < from+uintptr(cap(of))
}
