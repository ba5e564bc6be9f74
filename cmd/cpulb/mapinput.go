package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode/utf8"

	"cpulb/daemon/task"
	"cpulb/ipc/client"
)

// mapInput reads params, one JSON value per line.
type mapInput struct {
	in   *bufio.Reader
	most int // bytes of a line
	line int // that was read last
	// cut: that line is too long. longer: its end has not been read yet.
	cut, longer bool
}

func newMapInput(in io.Reader) *mapInput {
	return &mapInput{in: bufio.NewReaderSize(in, 64<<10), most: client.MaxTaskBytes}
}

// next returns the next line that is not blank, and io.EOF after the last. A line that is too
// long is returned in part, as it need not have an end.
func (m *mapInput) next() (text []byte, err error) {
	for {
		text, err = m.read()
		if err != nil && (!errors.Is(err, io.EOF) || len(text) == 0) {
			return nil, err
		}
		m.line++
		if text = bytes.Trim(text, task.WhiteSpace); len(text) > 0 || m.cut {
			break
		}
	}
	if m.line > maxMapLine {
		return nil, fmt.Errorf("the input has more than %d lines", maxMapLine)
	}
	return text, nil
}

// read returns a line with its newline, or sets cut and returns how one begins that is too long:
// only the first 64 KiB or so are kept of it. With what the input has after its last newline it
// returns io.EOF.
func (m *mapInput) read() (text []byte, err error) {
	for m.longer {
		_, err := m.in.ReadSlice('\n')
		if m.longer = errors.Is(err, bufio.ErrBufferFull); err != nil && !m.longer {
			return nil, err
		}
	}
	var pieces [][]byte // joined at the end: to make room for them again and again takes more memory
	length := 0
	for m.cut = false; ; {
		piece, err := m.in.ReadSlice('\n')
		pieces = append(pieces, bytes.Clone(piece))
		length += len(piece)
		full := errors.Is(err, bufio.ErrBufferFull)
		switch {
		case length > m.most+1:
			m.cut, m.longer = true, full
			return pieces[0], nil
		case full:
			continue
		case len(pieces) == 1:
			return pieces[0], err
		}
		return bytes.Join(pieces, nil), err
	}
}

// tooLarge is the code of a line that is too long, as the daemon's of one that it does not take.
const tooLarge = "body_too_large"

// byteOrderMark is what some programs write before UTF-8. JSON has none.
const byteOrderMark = "\xEF\xBB\xBF"

// badParams returns why text, which next has returned last, can't be params; nil: it can.
func (m *mapInput) badParams(text []byte) *task.Error {
	why := ""
	switch {
	case m.cut:
		return &task.Error{Type: "InvalidLine", Message: fmt.Sprintf("it is longer than %d bytes, the most that can be sent", m.most), Code: tooLarge}
	case bytes.HasPrefix(text, []byte(byteOrderMark)):
		why = "it begins with a byte order mark; save the file as UTF-8 without one"
	case !task.IsJSON(text):
		why = "it is not one JSON value: " + whyNotJSON(text)
	case !utf8.Valid(text):
		why = "it is not valid UTF-8"
	default:
		return nil
	}
	return &task.Error{Type: "InvalidLine", Message: why, Code: "invalid_json"}
}

// whyNotJSON says what is wrong, and where.
func whyNotJSON(text []byte) string {
	var syntax *json.SyntaxError
	err := json.Unmarshal(text, new(json.RawMessage))
	switch {
	case errors.As(err, &syntax):
		return fmt.Sprintf("%v, at byte %d", err, syntax.Offset)
	case err != nil:
		return err.Error()
	}
	return "it is nested too deep"
}

// restOf returns what of in has not been read, as a reader of its own that does not move in;
// false: it can't be read twice. A file that grows ends where it ends now.
func restOf(in io.Reader) (rest io.Reader, ok bool) {
	f, isFile := in.(*os.File)
	if !isFile {
		return nil, false
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, false
	}
	at, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, false
	}
	return io.NewSectionReader(f, at, info.Size()-at), true
}

// countLines counts the lines that are not blank; false: in can't be read to its end.
func countLines(in io.Reader) (n int, ok bool) {
	m := newMapInput(in)
	for {
		if _, err := m.next(); err != nil {
			return n, errors.Is(err, io.EOF)
		}
		n++
	}
}
