package ipc

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"cpulb/daemon/task"
	"cpulb/internal/share"
)

// FuzzLines holds the reader to its promise: every line within the limit comes
// whole and with its number, every one over it is reported once, whatever the
// pieces in which the bytes arrive.
func FuzzLines(f *testing.F) {
	for _, seed := range []string{"", "\n", "{}\n", "a\nb\n\nc\n", "0123456789012345678901234567890123456789\nx\n", "cut", "\u2028\n", "\u00a0{}\v\n\ufeff\n"} {
		f.Add([]byte(seed), uint8(20))
	}
	f.Fuzz(func(t *testing.T, text []byte, limit uint8) {
		in := &lines{r: bufio.NewReaderSize(iotest.HalfReader(bytes.NewReader(text)), 16), limit: int64(limit), ctx: t.Context(),
			hold: &hold{pool: share.NewPool(1 << 30)}}
		parts := bytes.Split(text, []byte("\n"))
		for i, want := range parts[:len(parts)-1] { // the last has no newline
			long, blank := len(want) > int(limit), len(bytes.Trim(want, task.WhiteSpace)) == 0
			if blank && !long {
				continue
			}
			got, err := in.next()
			if in.number != i+1 || skipped(err) != long || (!long && (err != nil || !bytes.Equal(got, bytes.Trim(want, task.WhiteSpace)))) {
				t.Fatalf("line %d of %q (limit %d): got %q as %d, %v", i+1, text, limit, got, in.number, err)
			}
		}
		if got, err := in.next(); !errors.Is(err, io.EOF) {
			t.Fatalf("after the last line: %q %v", got, err)
		}
	})
}
