package task

import (
	"encoding/binary"
	"fmt"
	"math"
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
	// taken: the text does not change any more.
	taken bool
	// huge is the first number that is beyond what a float holds, and where it is.
	huge   []byte
	hugeAt int
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

// IsJSON reports whether text is one value of JSON, not nested too deep, with nothing but white
// space around it.
func IsJSON(text []byte) bool {
	s := scanner{text: text}
	_, err := s.value()
	return err == nil && s.peek() == 0 && s.pos == len(text)
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
		return s.object(func() error {
			_, _, err := s.quoted()
			if err == nil {
				err = s.take(':')
			}
			if err == nil {
				err = s.skip(depth - 1)
			}
			return err
		})
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
	return s.object(func() error {
		name, err := s.str()
		if err == nil {
			err = s.take(':')
		}
		if err == nil {
			err = value(name)
		}
		return err
	})
}

// object reads an object and calls member, which must read each member.
func (s *scanner) object(member func() error) error {
	if err := s.take('{'); err != nil {
		return err
	}
	return s.list('}', "',' or '}'", func() error {
		if s.peek() != '"' {
			return s.failure("a name in double quotes")
		}
		return member()
	})
}

// elements reads an array and calls value, which must read each value.
func (s *scanner) elements(value func() error) error {
	if err := s.take('['); err != nil {
		return err
	}
	return s.list(']', "',' or ']'", value)
}

// list reads what stands between commas, up to the bracket.
func (s *scanner) list(bracket byte, expected string, one func() error) error {
	if s.peek() == bracket {
		s.pos++
		return nil
	}
	for {
		if err := one(); err != nil {
			return err
		}
		switch s.peek() {
		case ',':
			s.pos++
		case bracket:
			s.pos++
			return nil
		default:
			return s.failure(expected)
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
	start := s.pos
	if s.text[s.pos] == '-' {
		s.pos++
	}
	if s.pos < len(s.text) && s.text[s.pos] == '0' {
		s.pos++
	} else if err := s.digits(); err != nil {
		return err
	}
	fraction := s.pos < len(s.text) && s.text[s.pos] == '.'
	if fraction {
		s.pos++
		if err := s.digits(); err != nil {
			return err
		}
	}
	exponent := s.pos < len(s.text) && s.text[s.pos]|0x20 == 'e'
	if exponent {
		s.pos++
		if s.pos < len(s.text) && (s.text[s.pos] == '+' || s.text[s.pos] == '-') {
			s.pos++
		}
		if err := s.digits(); err != nil {
			return err
		}
	}
	if exponent || fraction && s.pos-start > maxFloatDigits {
		s.noteHuge(start)
	}
	return nil
}

// maxFloatDigits is less than a number without exponent has that no float holds.
const maxFloatDigits = 300

// noteHuge keeps the number that begins at start, if no float holds it. A whole number
// without exponent is not meant to be one.
func (s *scanner) noteHuge(start int) {
	if s.huge != nil {
		return
	}
	if f, _ := strconv.ParseFloat(string(s.text[start:s.pos]), 64); math.IsInf(f, 0) {
		s.huge, s.hugeAt = s.text[start:s.pos], s.base+start+1
	}
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
	for s.pos += 1 + literal(s.text[s.pos+1:]); s.pos < len(s.text); s.pos++ {
		switch c := s.text[s.pos]; {
		case c == '"':
			s.pos++
			return s.text[start:s.pos], escaped, nil
		case c == '\\':
			escaped = true
			if err := s.escape(); err != nil {
				return nil, escaped, err
			}
			s.pos += literal(s.text[s.pos+1:])
		case c < ' ':
			return nil, escaped, s.failure("a character of a string; control characters are to be escaped")
		}
	}
	return nil, escaped, s.failure("the '\"' that ends a string")
}

// literal returns how many bytes of text at least, from its beginning, stand for themselves in
// a string. It looks at eight at a time (Warren, Hacker's Delight, 6-1), and at four of these
// together, which do not wait for each other: most of a large text is one string.
func literal(text []byte) (n int) {
	for ; len(text)-n >= 32; n += 32 {
		t := text[n : n+32 : n+32]
		if ends(t)|ends(t[8:])|ends(t[16:])|ends(t[24:]) != 0 {
			break
		}
	}
	for ; len(text)-n >= 8 && ends(text[n:]) == 0; n += 8 {
	}
	return n
}

// ends is not 0 if one of the first eight bytes of text does not stand for itself in a string.
func ends(text []byte) uint64 {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	x := binary.LittleEndian.Uint64(text)
	quote, slash := x^ones*'"', x^ones*'\\'
	return ((x-ones*' ')&^x | (quote-ones)&^quote | (slash-ones)&^slash) & tops
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
// copied to be kept. It is valid UTF-8 if the text is and no half of a surrogate pair is
// escaped alone.
func (s *scanner) str() ([]byte, error) {
	quoted, escaped, err := s.quoted()
	switch {
	case err != nil:
		return nil, err
	case escaped:
		return appendUnescaped(make([]byte, 0, len(quoted)), quoted[1:len(quoted)-1]), nil
	}
	return quoted[1 : len(quoted)-1], nil
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
