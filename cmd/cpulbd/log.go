package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"cpulb/daemon/config"

	"github.com/hashicorp/go-hclog"
)

// newLog returns the daemon's log. A record is one line, whatever is in it: what callers
// and scripts have chosen (paths, errors, output) can't begin a line of its own, which
// would pass for the daemon's, or for one with a priority to the journal of systemd
// ("<0>…"); nor end the quotes around it, nor reach a terminal as control characters.
func newLog(c config.Log, stderr io.Writer) hclog.Logger {
	json := c.Format == "json"
	log := hclog.New(&hclog.LoggerOptions{Name: "cpulbd", Level: hclog.LevelFromString(c.Level), Output: oneLine{stderr},
		JSONFormat: json, DisableTime: os.Getenv("JOURNAL_STREAM") != ""}) // the journal adds its own
	if json {
		return log
	}
	return quoting{log}
}

// oneLine makes each Write, which is one record, one line of printable characters. Its
// escapes are JSON's.
type oneLine struct{ io.Writer }

// Write implements io.Writer.
func (o oneLine) Write(record []byte) (int, error) {
	body := bytes.TrimSuffix(record, []byte{'\n'})
	line := record
	if !utf8.Valid(body) || strings.ContainsFunc(string(body), unprintable) {
		line = append(escaped(string(body)), '\n')
	}
	if _, err := o.Writer.Write(line); err != nil {
		return 0, err
	}
	return len(record), nil
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

func escaped(text string) (line []byte) {
	for _, r := range text { // bytes that are not UTF-8 come as U+FFFD
		switch {
		case r == '\n':
			line = append(line, `\n`...)
		case !unprintable(r):
			line = utf8.AppendRune(line, r)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			line = fmt.Appendf(line, `\u%04x\u%04x`, high, low)
		default:
			line = fmt.Appendf(line, `\u%04x`, r)
		}
	}
	return line
}

// quoting quotes values that hclog's text format would break into lines, or put between
// quotes without escaping the backslashes that are in them.
type quoting struct{ hclog.Logger }

// quoted returns args with values that nothing in them can get out of.
func quoted(args []any) []any {
	all := make([]any, len(args))
	for i, a := range args {
		all[i] = a
		if i%2 == 0 {
			continue
		}
		var text string
		switch v := a.(type) {
		case string:
			text = v
		case error:
			text = v.Error()
		case fmt.Stringer:
			text = v.String()
		default:
			continue
		}
		if strings.ContainsFunc(text, func(r rune) bool { return r == '\\' || r == '"' || unprintable(r) }) {
			all[i] = hclog.Quote(text)
		}
	}
	return all
}

// Log implements hclog.Logger, as do the methods that follow.
func (q quoting) Log(level hclog.Level, message string, args ...any) {
	q.Logger.Log(level, message, quoted(args)...)
}

func (q quoting) Trace(message string, args ...any) { q.Log(hclog.Trace, message, args...) }
func (q quoting) Debug(message string, args ...any) { q.Log(hclog.Debug, message, args...) }
func (q quoting) Info(message string, args ...any)  { q.Log(hclog.Info, message, args...) }
func (q quoting) Warn(message string, args ...any)  { q.Log(hclog.Warn, message, args...) }
func (q quoting) Error(message string, args ...any) { q.Log(hclog.Error, message, args...) }

func (q quoting) With(args ...any) hclog.Logger { return quoting{q.Logger.With(quoted(args)...)} }

func (q quoting) Named(name string) hclog.Logger { return quoting{q.Logger.Named(name)} }

func (q quoting) ResetNamed(name string) hclog.Logger { return quoting{q.Logger.ResetNamed(name)} }
