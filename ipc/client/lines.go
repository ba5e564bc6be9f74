package client

import (
	"bytes"
	"io"
	"slices"
)

// readBuffer is how much one read takes, and from which length on a line is given away
// instead of copied.
const readBuffer = 64 << 10

// lines cuts what it reads into lines. What has come of a line stays when a read fails, so
// that reading can go on. It is for one goroutine at a time.
type lines struct {
	r io.Reader
	// buf[from:to] has been read and not returned; there is no newline before looked.
	buf              []byte
	from, looked, to int
}

// more reads once. It may return nil without a whole line to take.
func (l *lines) more() error {
	switch {
	case l.buf == nil:
		l.buf = make([]byte, readBuffer)
	case l.from == l.to:
		l.from, l.looked, l.to = 0, 0, 0
	case l.to == len(l.buf) && l.from > 0:
		copy(l.buf, l.buf[l.from:l.to])
		l.from, l.looked, l.to = 0, l.looked-l.from, l.to-l.from
	case l.to == len(l.buf):
		l.buf = slices.Grow(l.buf, len(l.buf))
		l.buf = l.buf[:cap(l.buf)]
	}
	n, err := l.r.Read(l.buf[l.to:])
	l.to += n
	return err
}

// take returns the next whole line that has been read, or nil. It is valid until the next
// call of more, unless it is given: then it is the caller's for ever.
func (l *lines) take() (line []byte, given bool) {
	n := bytes.IndexByte(l.buf[l.looked:l.to], '\n')
	if n < 0 {
		l.looked = l.to
		return nil, false
	}
	end := l.looked + n + 1
	line = l.buf[l.from:end:end]
	l.from, l.looked = end, end
	if len(line) < readBuffer {
		return line, false
	}
	rest := make([]byte, max(readBuffer, l.to-end))
	l.from, l.looked, l.to = 0, 0, copy(rest, l.buf[end:l.to])
	l.buf = rest
	return line, true
}

// rest returns what has come of a line without its end.
func (l *lines) rest() []byte { return l.buf[l.from:l.to] }
