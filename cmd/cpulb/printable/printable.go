// Package printable shows text that may be anybody's to a person: what would steer a terminal
// or hide from its reader stands there as an escape.
package printable

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Writer passes text on with escapes, which are JSON's. Lines and tabs stay: they are the
// command's own, as nothing that is put into a table has any.
type Writer struct{ io.Writer }

// Write implements io.Writer. A character must not be cut in two.
func (p Writer) Write(text []byte) (int, error) {
	if _, err := io.WriteString(p.Writer, Escape(string(text), "\n\t")); err != nil {
		return 0, err
	}
	return len(text), nil
}

// Escape returns text with escapes for all characters that are not printable, but those
// in except.
func Escape(text, except string) string {
	stays := func(r rune) bool { return unicode.IsPrint(r) || strings.ContainsRune(except, r) }
	if utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !stays(r) }) {
		return text
	}
	var b strings.Builder
	for i, r := range text {
		switch _, n := utf8.DecodeRuneInString(text[i:]); {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case stays(r):
			b.WriteRune(r)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
