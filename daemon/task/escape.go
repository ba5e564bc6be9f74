package task

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// appendUnescaped appends the value of a string that the scanner has read, without its
// quotes. Half a surrogate pair that stands alone, which is no character, becomes three
// bytes that are not UTF-8, each half other ones.
func appendUnescaped(b, text []byte) []byte {
	for len(text) > 0 {
		b, text = unescapeSome(b, text)
	}
	return b
}

// unescapeSome appends the value of the beginning of text, up to an escape or of one, and
// returns the rest.
func unescapeSome(b, text []byte) (_, rest []byte) {
	switch i := bytes.IndexByte(text, '\\'); {
	case i < 0:
		return append(b, text...), nil
	case i > 0:
		return append(b, text[:i]...), text[i:]
	case text[1] != 'u':
		return append(b, unescaped(text[1])), text[2:]
	}
	r, rest := hex4(text[2:]), text[6:]
	if utf16.IsSurrogate(r) && len(rest) >= 6 && rest[0] == '\\' && rest[1] == 'u' {
		if pair := utf16.DecodeRune(r, hex4(rest[2:])); pair != utf8.RuneError {
			r, rest = pair, rest[6:]
		}
	}
	if utf16.IsSurrogate(r) {
		return append(b, 0xe0|byte(r>>12), 0x80|byte(r>>6&0x3f), 0x80|byte(r&0x3f)), rest
	}
	return utf8.AppendRune(b, r), rest
}

// unescaped returns the character that stands for itself or for a control character
// behind a backslash.
func unescaped(c byte) byte {
	if i := strings.IndexByte("bfnrt", c); i >= 0 {
		return "\b\f\n\r\t"[i]
	}
	return c
}

// hex4 reads the digits of an escape.
func hex4(text []byte) rune {
	n, _ := strconv.ParseUint(string(text[:4]), 16, 16) // the scanner has looked at them
	return rune(n)
}
