package printable_test

import (
	"bytes"
	"testing"

	"cpulb/cmd/cpulb/printable"
)

func TestTextThatSteersATerminalIsEscaped(t *testing.T) {
	for text, want := range map[string]string{
		"plain text, ÄöÜ 漢字\tand\nlines": "plain text, ÄöÜ 漢字\tand\nlines",
		"\x1b[2J":                        `\u001b[2J`,
		"\x9b31m\xff":                    `\x9b31m\xff`,
		"\u009b\u202e\r\x7f\u2028":       `\u009b\u202e\u000d\u007f\u2028`,
		"\U000e0001":                     `\udb40\udc01`,
		"\uFFFD":                         "\uFFFD",
	} {
		var out bytes.Buffer
		if n, err := (printable.Writer{Writer: &out}).Write([]byte(text)); n != len(text) || err != nil || out.String() != want {
			t.Errorf("%q: %q, want %q (%d, %v)", text, out.String(), want, n, err)
		}
	}
}
