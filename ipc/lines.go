package ipc

import (
	"bufio"
	"bytes"
	"errors"

	"cpulb/daemon/task"
)

// lineBuffer is the size of a read; a line up to this length is not copied.
const lineBuffer = 32 << 10

// lines reads a client's lines, each of at most limit bytes.
type lines struct {
	r     *bufio.Reader
	limit int64
	// number counts the lines read, blank ones included.
	number int
}

// next returns the next line that is not blank, valid until the next call. A line
// over the limit is read to its end, in bounded memory, and reported by an error for
// which tooLong is true; the next call goes on after it. Text after the last newline
// may have been cut off and is not returned.
func (l *lines) next() ([]byte, error) {
	for {
		l.number++
		text, err := l.read()
		if text = bytes.Trim(text, task.WhiteSpace); err != nil || len(text) > 0 {
			return text, err
		}
	}
}

func (l *lines) read() ([]byte, error) {
	text, err := l.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		text, err = l.readLong(text)
	}
	if err == nil && int64(len(text)-1) > l.limit { // the newline does not count
		return nil, tooLarge(l.limit)
	}
	return text, err
}

// readLong reads the rest of a line that begins with first. It keeps no more of an
// overlong line than shows that it is one.
func (l *lines) readLong(first []byte) ([]byte, error) {
	line, err := bytes.Clone(first), bufio.ErrBufferFull
	for errors.Is(err, bufio.ErrBufferFull) {
		var more []byte
		more, err = l.r.ReadSlice('\n')
		if int64(len(line)) <= l.limit+1 {
			line = append(line, more...)
		}
	}
	return line, err
}

// tooLong reports whether err concerns one line only, so that the next can be read.
func tooLong(err error) bool {
	var request *requestError
	return errors.As(err, &request)
}
