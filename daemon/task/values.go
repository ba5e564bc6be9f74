package task

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// values reads the punctuation of JSON text from a reader, and the values in between as
// text that a scanner then looks into. It holds one value at a time.
type values struct {
	r *bufio.Reader
	// at counts the bytes before those of r.
	at int
	// text is that of the value that was read last.
	text []byte
}

// peek skips white space and returns the next byte, 0 at the end.
func (v *values) peek() (byte, error) {
	for {
		next, err := v.r.Peek(1)
		switch {
		case errors.Is(err, io.EOF):
			return 0, nil
		case err != nil:
			return 0, err
		case strings.IndexByte(WhiteSpace, next[0]) < 0:
			return next[0], nil
		}
		v.drop(1)
	}
}

func (v *values) drop(n int) {
	n, _ = v.r.Discard(n) // they are in the buffer
	v.at += n
}

// failure reports that what comes next is not what was expected.
func (v *values) failure(expected string) error {
	next, _ := v.r.Peek(1) // an error: the end
	s := scanner{text: next, base: v.at}
	return s.failure(expected)
}

// open reads the bracket that opens a value of the kind wanted.
func (v *values) open(bracket byte, field, wanted string) error {
	c, err := v.peek()
	switch {
	case err != nil:
		return err
	case c == bracket:
		v.drop(1)
		return nil
	case c != 0 && strings.IndexByte(`{["tfn-0123456789`, c) >= 0:
		s := scanner{text: []byte{c}}
		return &FieldError{Field: field, Problem: "must be " + wanted + ", not " + s.found()}
	}
	return v.failure(wanted)
}

// each calls one for what stands between commas, which must read it, up to the bracket
// that closes all.
func (v *values) each(bracket byte, one func() error) error {
	c, err := v.peek()
	for first := true; err == nil; first = false {
		switch {
		case c == bracket:
			v.drop(1)
			return nil
		case !first && c != ',':
			return v.failure("',' or '" + string(rune(bracket)) + "'")
		case !first:
			v.drop(1)
		}
		if err = one(); err == nil {
			c, err = v.peek()
		}
	}
	return err
}

// name reads an object's name and the colon.
func (v *values) name() ([]byte, error) {
	if err := v.expect('"', "a name in double quotes"); err != nil {
		return nil, err
	}
	s, err := v.next()
	if err != nil {
		return nil, err
	}
	name, err := s.str()
	if err == nil {
		err = v.expect(':', "':'")
	}
	if err != nil {
		return nil, err
	}
	v.drop(1)
	return name, nil
}

// expect returns an error if the next byte is not c.
func (v *values) expect(c byte, what string) error {
	next, err := v.peek()
	if err == nil && next != c {
		err = v.failure(what)
	}
	return err
}

// ended returns an error if more than white space is left.
func (v *values) ended() error {
	_, err := v.peek()
	if err == nil {
		if _, err = v.r.Peek(1); errors.Is(err, io.EOF) {
			return nil
		}
	}
	if err == nil {
		err = errTrailing()
	}
	return err
}

// next reads one value and returns a scanner of its text, which holds until the next
// call. Whether it is JSON is for the scanner to report: next looks for its end alone.
// Of a value that is nested too deeply it reads no more than shows that.
func (v *values) next() (*scanner, error) {
	if _, err := v.peek(); err != nil {
		return nil, err
	}
	base := v.at
	v.text = v.text[:0]
	var b border
	for ended := false; !ended; {
		window, err := v.r.Peek(max(1, v.r.Buffered()))
		if errors.Is(err, io.EOF) {
			break // the scanner reports what is missing
		}
		if err != nil {
			return nil, err
		}
		var n int
		n, ended = b.find(window)
		v.text = append(v.text, window[:n]...)
		v.drop(n)
	}
	if len(v.text) == 0 {
		return nil, v.failure("a value")
	}
	return &scanner{text: v.text, base: base}, nil
}

// border finds where a value ends.
type border struct {
	depth                    int
	begun, quoted, backslash bool
}

// find looks through some of the text and returns how much of it belongs to the value,
// and whether the value has ended.
func (b *border) find(text []byte) (n int, ended bool) {
	for i, c := range text {
		switch {
		case b.backslash:
			b.backslash = false
		case b.quoted:
			b.backslash = c == '\\'
			if b.quoted = c != '"'; !b.quoted && b.depth == 0 {
				return i + 1, true
			}
		case b.depth == 0 && b.begun && strings.IndexByte(WhiteSpace+`,:"[]{}`, c) >= 0:
			return i, true // a number or a word ends before that
		case c == '"':
			b.quoted = true
		case c == '[' || c == '{':
			if b.depth++; b.depth > maxDepth+1 {
				return i + 1, true
			}
		case c == ']' || c == '}':
			if b.depth--; b.depth < 0 {
				return i, true
			} else if b.depth == 0 {
				return i + 1, true
			}
		case b.depth == 0 && (c == ',' || c == ':'):
			return i, true
		}
		b.begun = true
	}
	return len(text), false
}
