package ipc

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"

	"cpulb/daemon/task"
)

// lineBuffer is the size of a read; a line up to this length is not copied.
const lineBuffer = 32 << 10

// lines reads a client's lines, each of at most limit bytes. What a long one takes is
// hold's until the next is read.
type lines struct {
	r *bufio.Reader
	// ahead is what r reads from; nil: something that takes nothing back.
	ahead *ahead
	limit int64
	hold  *hold
	ctx   context.Context // of the waits for room
	long  longLine
	// unended: what follows the last newline is a line, too, and a line without room ends
	// everything.
	unended bool
	// number counts the lines read, blank ones included.
	number int
}

// next returns the next line that is not blank, valid until the next call. A line
// over the limit, or for which there is no room, is read to its end, in bounded memory,
// and reported by an error for which skipped is true; the next call goes on after it. Text after the last newline
// may have been cut off and is not returned.
func (l *lines) next() ([]byte, error) {
	for {
		l.number++
		text, err := l.read()
		if text = bytes.Trim(text, task.WhiteSpace); l.unended && len(text) > 0 && errors.Is(err, io.EOF) {
			return text, nil
		}
		if err != nil || len(text) > 0 {
			return text, err
		}
	}
}

func (l *lines) read() ([]byte, error) {
	l.long.free()
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
// overlong line than shows that it is one, and nothing of one for which there is no room.
func (l *lines) readLong(first []byte) ([]byte, error) {
	if !l.unended {
		l.hold.renew()
	}
	l.long = longLine{hold: l.hold, most: l.limit + 2}
	refused := l.long.write(l.ctx, first)
	err := bufio.ErrBufferFull
	for errors.Is(err, bufio.ErrBufferFull) && (refused == nil || !l.unended) {
		var more []byte
		switch {
		case refused == nil && l.ahead != nil && l.r.Buffered() == 0 && l.long.most-l.long.size >= aheadBytes:
			err, refused = l.long.readFrom(l.ctx, l.r, l.ahead)
		default:
			if more, err = l.r.ReadSlice('\n'); refused == nil {
				refused = l.long.write(l.ctx, more)
			}
		}
		if refused != nil {
			l.long.free()
		}
	}
	if refused != nil && (err == nil || l.unended) {
		return nil, refused
	}
	switch {
	case err == nil && l.long.size-1 > l.limit: // the newline does not count
		return nil, tooLarge(l.limit)
	case err != nil && !l.unended: // it is not complete, and never will be
		return nil, err
	}
	text, refused := l.long.text(l.ctx)
	if refused != nil {
		return nil, refused
	}
	return text, err
}

// holds reports whether the line that was read last takes of hold. Its text stays then.
func (l *lines) holds() bool { return l.long.blocks != nil }

// skipped reports whether err concerns one line only, so that the next can be read.
func skipped(err error) bool {
	if err == nil {
		return false
	}
	var request *requestError
	return errors.As(err, &request)
}
