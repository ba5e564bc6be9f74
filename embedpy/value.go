package embedpy

// #include "embedpy.h"
import "C"

import (
	"fmt"
	"unsafe"
)

// copiedBytes is up to where an argument is copied into C memory instead of being
// pinned: below it the copy is the cheaper one.
const copiedBytes = 1024

// Value is an argument of a call. The zero Value is None.
type Value struct {
	kind    C.ep_kind
	integer int64
	real    float64
	data    *byte
	size    int
}

// Str becomes a str; s must be UTF-8.
func Str(s string) Value { return Value{kind: C.EP_STR, data: unsafe.StringData(s), size: len(s)} }

// Text becomes a str made straight from b, which must be UTF-8 and must not
// change during the call.
func Text(b []byte) Value { return Value{kind: C.EP_STR, data: unsafe.SliceData(b), size: len(b)} }

// Bytes becomes a bytes object made straight from b, which must not change
// during the call.
func Bytes(b []byte) Value { return Value{kind: C.EP_BYTES, data: unsafe.SliceData(b), size: len(b)} }

// Int becomes an int.
func Int(i int64) Value { return Value{kind: C.EP_INT, integer: i} }

// Float becomes a float.
func Float(f float64) Value { return Value{kind: C.EP_FLOAT, real: f} }

// put lays args out where C finds them, until drop. Large ones stay in Go's memory, pinned.
func (t *Thread) put(args []Value) error {
	if len(args) > MaxValues {
		return fmt.Errorf("%w: %d", ErrTooManyValues, len(args))
	}
	used := 0
	for i := range args {
		v, to := &args[i], &t.c.args[i]
		to.kind, to.integer, to.real = v.kind, C.int64_t(v.integer), C.double(v.real)
		to.size = C.size_t(v.size)
		switch {
		case v.size == 0:
			to.data = nil
		case v.size <= copiedBytes && used+v.size <= C.EP_SCRATCH:
			at := unsafe.Pointer(&t.c.scratch[used])
			copy(unsafe.Slice((*byte)(at), v.size), unsafe.Slice(v.data, v.size))
			to.data = at
			used += v.size
		default:
			t.pins.Pin(v.data)
			to.data, t.pinned = unsafe.Pointer(v.data), true
		}
	}
	return nil
}

// drop ends what put began. No pointer to what was pinned stays in C's memory: Go's write
// barrier looks at the old value of a pointer that is written over, wherever it is, and the
// collector panics when nothing is there any more.
func (t *Thread) drop() {
	if !t.pinned {
		return
	}
	for i := range t.c.args {
		t.c.args[i].data = nil
	}
	t.pins.Unpin()
	t.pinned = false
}

// Results is what a call returned, as views that hold until the next call on the
// same thread. An index out of range panics.
type Results struct {
	t *Thread
	n int
}

// Len is the number of results.
func (r Results) Len() int { return r.n }

// Bytes is a str's UTF-8 or a bytes object's content in Python's memory, nil for
// None and int. It must not be changed, nor used after the next call.
func (r Results) Bytes(i int) []byte {
	v := r.at(i)
	if v.data == nil {
		return nil
	}
	return unsafe.Slice((*byte)(v.data), int(v.size))
}

// String is a copy of Bytes.
func (r Results) String(i int) string { return string(r.Bytes(i)) }

// Int is an int's value, 0 for anything else.
func (r Results) Int(i int) int64 {
	if v := r.at(i); v.kind == C.EP_INT {
		return int64(v.integer)
	}
	return 0
}

// IsNone reports whether result i is None.
func (r Results) IsNone(i int) bool { return r.at(i).kind == C.EP_NONE }

func (r Results) at(i int) *C.ep_value {
	if i < 0 || i >= r.n {
		panic(fmt.Sprintf("embedpy: result %d of %d", i, r.n))
	}
	return &r.t.c.results[i]
}
