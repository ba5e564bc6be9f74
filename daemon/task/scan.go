package task

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// maxDepth bounds how deep arrays and objects may be nested. CPython's own reader
// gives up at about the same depth.
const maxDepth = 1000

// scanner reads JSON text in one pass and without a tree: the text of every task
// goes through it. Its errors are FieldErrors. Whether the text is UTF-8 is for the
// caller to check.
type scanner struct {
	text []byte
	pos  int
	// base counts the bytes before text in what the caller sent.
	base int
}

// WhiteSpace lists what may stand between the tokens of JSON.
const WhiteSpace = " \t\r\n"

// failure reports where the text stops being JSON. The offset counts from 1, as in
// encoding/json.
func (s *scanner) failure(expected string) error {
	found := "the end"
	if s.pos < len(s.text) {
		found = strconv.QuoteRune(rune(s.text[s.pos]))
		if s.text[s.pos] >= 0x80 {
			found = "a character that is not ASCII"
		}
	}
	return &FieldError{Field: "body", Code: "invalid_json",
		Problem: fmt.Sprintf("not JSON at byte %d: %s instead of %s", s.base+s.pos+1, found, expected)}
}

// peek skips white space and returns the next byte, 0 at the end: a NUL is legal
// nowhere in the text, so the two need not be distinguished.
func (s *scanner) peek() byte {
	for ; s.pos < len(s.text); s.pos++ {
		switch c := s.text[s.pos]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// take skips white space and reads the byte c.
func (s *scanner) take(c byte) error {
	if s.peek() != c {
		return s.failure(strconv.QuoteRune(rune(c)))
	}
	s.pos++
	return nil
}

// value reads one value of any kind and returns its text.
func (s *scanner) value() ([]byte, error) {
	s.peek()
	start := s.pos
	err := s.skip(maxDepth)
	return s.text[start:s.pos], err
}

// skip reads one value that is nested depth deep at most.
func (s *scanner) skip(depth int) error {
	c := s.peek()
	if depth == 0 && (c == '{' || c == '[') {
		return &FieldError{Field: "body", Code: "invalid_json",
			Problem: fmt.Sprintf("nested deeper than %d at byte %d", maxDepth, s.base+s.pos+1)}
	}
	switch c {
	case '{':
		return s.members(func([]byte) error { return s.skip(depth - 1) })
	case '[':
		return s.elements(func() error { return s.skip(depth - 1) })
	case '"':
		_, _, err := s.quoted()
		return err
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	default:
		if c == '-' || c >= '0' && c <= '9' {
			return s.number()
		}
		return s.failure("a value")
	}
}

// members reads an object and calls value for each name, which must read the value.
func (s *scanner) members(value func(name []byte) error) error {
	if err := s.take('{'); err != nil {
		return err
	}
	if s.peek() == '}' {
		s.pos++
		return nil
	}
	for {
		if s.peek() != '"' {
			return s.failure("a name in double quotes")
		}
		name, err := s.str()
		if err == nil {
			err = s.take(':')
		}
		if err == nil {
			err = value(name)
		}
		if err != nil {
			return err
		}
		switch s.peek() {
		case ',':
			s.pos++
		case '}':
			s.pos++
			return nil
		default:
			return s.failure("',' or '}'")
		}
	}
}

// elements reads an array and calls value, which must read each value.
func (s *scanner) elements(value func() error) error {
	if err := s.take('['); err != nil {
		return err
	}
	if s.peek() == ']' {
		s.pos++
		return nil
	}
	for {
		if err := value(); err != nil {
			return err
		}
		switch s.peek() {
		case ',':
			s.pos++
		case ']':
			s.pos++
			return nil
		default:
			return s.failure("',' or ']'")
		}
	}
}

func (s *scanner) word(w string) error {
	for i := range len(w) {
		if s.pos >= len(s.text) || s.text[s.pos] != w[i] {
			return s.failure("the rest of " + w)
		}
		s.pos++
	}
	return nil
}

func (s *scanner) number() error {
	if s.text[s.pos] == '-' {
		s.pos++
	}
	if s.pos < len(s.text) && s.text[s.pos] == '0' {
		s.pos++
	} else if err := s.digits(); err != nil {
		return err
	}
	if s.pos < len(s.text) && s.text[s.pos] == '.' {
		s.pos++
		if err := s.digits(); err != nil {
			return err
		}
	}
	if s.pos >= len(s.text) || s.text[s.pos]|0x20 != 'e' {
		return nil
	}
	s.pos++
	if s.pos < len(s.text) && (s.text[s.pos] == '+' || s.text[s.pos] == '-') {
		s.pos++
	}
	return s.digits()
}

func (s *scanner) digits() error {
	start := s.pos
	for s.pos < len(s.text) && s.text[s.pos] >= '0' && s.text[s.pos] <= '9' {
		s.pos++
	}
	if s.pos == start {
		return s.failure("a digit")
	}
	return nil
}

// quoted reads a string and returns it with its quotes.
func (s *scanner) quoted() (text []byte, escaped bool, err error) {
	start := s.pos
	for s.pos++; s.pos < len(s.text); s.pos++ {
		switch c := s.text[s.pos]; {
		case c == '"':
			s.pos++
			return s.text[start:s.pos], escaped, nil
		case c == '\\':
			escaped = true
			if err := s.escape(); err != nil {
				return nil, escaped, err
			}
		case c < ' ':
			return nil, escaped, s.failure("a character of a string; control characters are to be escaped")
		}
	}
	return nil, escaped, s.failure("the '\"' that ends a string")
}

// escape reads what follows a backslash, up to its last byte.
func (s *scanner) escape() error {
	s.pos++
	if s.pos >= len(s.text) {
		return s.failure("an escaped character")
	}
	switch s.text[s.pos] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return nil
	case 'u':
		for range 4 {
			s.pos++
			if s.pos >= len(s.text) || !isHex(s.text[s.pos]) {
				return s.failure("a hexadecimal digit")
			}
		}
		return nil
	default:
		return s.failure("an escaped character")
	}
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
}

// str reads a string and returns its value, which may be part of the text and must be
// copied to be kept.
func (s *scanner) str() ([]byte, error) {
	quoted, escaped, err := s.quoted()
	if err != nil {
		return nil, err
	}
	if !escaped {
		return quoted[1 : len(quoted)-1], nil
	}
	var text string
	if err := json.Unmarshal(quoted, &text); err != nil {
		return nil, &FieldError{Field: "body", Code: "invalid_json", Problem: "not JSON: " + err.Error()}
	}
	return []byte(text), nil
}

// found names the kind of the value that comes next, for an error's text.
func (s *scanner) found() string {
	switch c := s.peek(); c {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "true or false"
	case 'n':
		return "null"
	default:
		return "a number"
	}
}
