package embedpy

// #include "embedpy.h"
import "C"

import (
	"fmt"
	"strings"
	"sync/atomic"
	"unicode/utf8"
	"unsafe"
)

// Capture takes what is written to descriptors 1 and 2 of the process during a CallRegion
// with a settle, whoever writes it: Python, C code, child processes. There is one in a
// process, and but for After its methods are called by one goroutine at a time.
type Capture struct{ limit int }

// Output is what was captured: valid UTF-8, within the bound.
type Output struct {
	Stdout, Stderr string
	Truncated      bool
}

// OpenCapture begins to capture at most limitBytes of each stream at a time; more
// is read and dropped. It comes before Start, so that Python's own streams are on
// the descriptors captured. What is written while nothing is captured, and what
// was captured when the process crashes, goes to where descriptor 2 led before.
func OpenCapture(limitBytes int64) (*Capture, error) {
	if r, err := C.ep_capture_open(C.size_t(max(0, limitBytes))); r != 0 {
		return nil, fmt.Errorf("capture of descriptors 1 and 2: %w", err)
	}
	return &Capture{limit: int(limitBytes)}, nil
}

// Take returns what the last CallRegion with a settle has captured, once, if its Report says
// Printed.
func (c *Capture) Take() Output {
	var cut C.int
	o := Output{Stdout: c.text(1, &cut), Stderr: c.text(2, &cut)}
	C.ep_capture_clear()
	o.Truncated = cut != 0
	return o
}

// After appends to into what has been captured of stream 1 or 2, beyond its first bytes, as far as
// into has room. Any goroutine may call it between the begin of a region and Take.
func (c *Capture) After(stream, bytes int, into []byte) []byte {
	free := into[len(into):cap(into)]
	n := C.ep_capture_after(C.int(stream), C.size_t(bytes), (*C.char)(unsafe.Pointer(unsafe.SliceData(free))), C.size_t(len(free)))
	return into[:len(into)+int(n)]
}

// Broken reports whether somebody has closed the pipes, so that output is lost.
func (c *Capture) Broken() bool {
	return atomic.LoadInt32((*int32)(unsafe.Pointer(&C.ep_capture_broken))) != 0
}

// Renew leaves the pipes to whoever may still hold them: what he writes is
// discarded.
func (c *Capture) Renew() { C.ep_capture_renew() }

func (c *Capture) text(stream C.int, cut *C.int) string {
	var size C.size_t
	data := C.ep_capture_kept(stream, &size, cut)
	text, half := ValidText(unsafe.Slice((*byte)(unsafe.Pointer(data)), int(size)), c.limit, *cut != 0)
	if half {
		*cut = 1
	}
	return text
}

// ValidText makes text of output: UTF-8 of at most limit bytes. cut: its end was
// cut off already, which may have been in the middle of a character. It returns
// whether the text has been cut.
func ValidText(output []byte, limit int, cut bool) (string, bool) {
	text := string(output)
	if cut {
		text = withoutHalf(text)
	}
	text = validUTF8(text)
	if len(text) > limit {
		return withoutHalf(text[:limit]), true
	}
	return text, cut
}

// withoutHalf drops a character that a bound has cut in two from the end. What can't be the
// beginning of one is not half of one.
func withoutHalf(text string) string {
	for i := 1; i <= min(utf8.UTFMax-1, len(text)); i++ {
		if end := text[len(text)-i:]; utf8.RuneStart(end[0]) {
			if !utf8.FullRuneInString(end) {
				return text[:len(text)-i]
			}
			break
		}
	}
	return text
}

// validUTF8 writes each byte that is not part of a character as U+FFFD.
func validUTF8(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		b.WriteRune(r) // utf8.RuneError for a byte that is none of a character
	}
	return b.String()
}
