package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// printable passes text on with escapes, which are JSON's, for what would steer a
// terminal or hide from its reader. Lines and tabs stay: they are the command's own,
// as nothing that is put into a table has any, see row.
type printable struct{ io.Writer }

// Write implements io.Writer. A character must not be cut in two.
func (p printable) Write(text []byte) (int, error) {
	if _, err := io.WriteString(p.Writer, escaped(string(text), "\n\t")); err != nil {
		return 0, err
	}
	return len(text), nil
}

// escaped returns text with escapes for all characters that are not printable, but those
// in except.
func escaped(text, except string) string {
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

// row prints one row of a table: no text in it can end its cell or its line.
func row(table io.Writer, cells ...any) error {
	texts := make([]string, len(cells))
	for i, c := range cells {
		texts[i] = escaped(fmt.Sprint(c), "")
	}
	_, err := fmt.Fprintln(table, strings.Join(texts, "\t"))
	return err
}

// isTerminal reports whether a person reads what is written to w.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
