package ipc

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"cpulb/daemon/task"
	"cpulb/internal/alloctest"
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

// oddPieces gives what is read in pieces of any size.
type oddPieces struct {
	io.Reader
	rnd *rand.Rand
}

func (o oddPieces) Read(p []byte) (int, error) {
	return o.Reader.Read(p[:1+o.rnd.IntN(len(p))])
}

// letters is random text without newlines, which repeats itself only at distances that no
// block of memory has.
func letters(rnd *rand.Rand, size int) []byte {
	some := make([]byte, 65_521) // a prime
	for i := range some {
		some[i] = 'a' + byte(rnd.IntN(26))
	}
	return bytes.Repeat(some, size/len(some)+1)[:size]
}

func TestLongLinesComeWholeWhateverStandsBeforeAndBehindThem(t *testing.T) {
	const limit = 1 << 20
	rnd := rand.New(rand.NewPCG(1, 2))
	sizes := []int{1, lineBuffer - 1, lineBuffer, firstBlock - 1, firstBlock, firstBlock + 1, 7 * lineBuffer, limit / 3, limit - 1, limit, limit + 1, 2 * limit, 9, limit - aheadBytes, 3}
	text := letters(rnd, 3*limit)
	var parts [][]byte
	for _, size := range append(sizes, sizes...) {
		from := rnd.IntN(limit)
		parts = append(parts, text[from:from+size:from+size], []byte("short"))
	}
	for _, read := range []func(io.Reader) io.Reader{
		func(r io.Reader) io.Reader { return r },
		func(r io.Reader) io.Reader { return oddPieces{r, rnd} },
	} {
		pool := share.NewPool(8 * limit)
		from := &ahead{Reader: read(bytes.NewReader(append(bytes.Join(parts, []byte("\n")), '\n')))}
		in := &lines{r: bufio.NewReaderSize(from, lineBuffer), ahead: from, limit: limit, ctx: t.Context(), hold: &hold{pool: pool}}
		var kept [][]byte
		for i, want := range parts {
			got, err := in.next()
			if len(want) > limit {
				if !skipped(err) || in.number != i+1 {
					t.Fatalf("line %d of %d bytes: %v as %d", i+1, len(want), err, in.number)
				}
				continue
			}
			if err != nil || in.number != i+1 || !bytes.Equal(got, want) {
				t.Fatalf("line %d of %d bytes: %d as %d, %v", i+1, len(want), len(got), in.number, err)
			}
			if !in.holds() {
				got = bytes.Clone(got)
			}
			kept = append(kept, got)
		}
		if _, err := in.next(); !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if used, _ := pool.Used(0); used != 0 {
			t.Errorf("%d bytes are still held", used)
		}
		for _, want := range parts { // a line that was held stays
			if len(want) <= limit {
				if !bytes.Equal(kept[0], want) {
					t.Fatalf("a line of %d bytes has changed", len(want))
				}
				kept = kept[1:]
			}
		}
	}
}

func TestALongLineIsMovedOnce(t *testing.T) {
	const size = 2*lastBlock + lastBlock/2 // some blocks of each size
	text := append(bytes.Repeat([]byte("x"), size), '\n')
	alloctest.Within(t, 2*len(text)+lastBlock, func() {
		from := &ahead{Reader: bytes.NewReader(text)}
		in := &lines{r: bufio.NewReaderSize(from, lineBuffer), ahead: from, limit: 1 << 30, ctx: t.Context(), hold: &hold{pool: share.NewPool(1 << 30)}}
		if got, err := in.next(); err != nil || len(got) != size {
			t.Error(len(got), err)
		}
	})
}
