package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"cpulb/daemon/config"

	"github.com/hashicorp/go-hclog"
)

// Whatever a record holds, it is one line that begins as the daemon's lines do, in both
// formats, with and without the journal of systemd.
func TestARecordIsOneLineWhateverIsInIt(t *testing.T) {
	texts := []string{
		"/srv/a\n2026-01-02T03:04:05.000Z [ERROR] cpulbd: the disk is on fire",
		"<0>emergency", "a\n<0>emergency", "\x1b[31mred\x1b[0m\x07", "a\r\nb", "\u0085\u2028\u202e", "\xff\xfe\n", "\U000e0001",
		`" forged="yes`, `\" forged="yes`, `\`, "\u009b31m",
	}
	for _, format := range []string{"text", "json"} {
		for _, stream := range []string{"", "8:1234"} {
			t.Setenv("JOURNAL_STREAM", stream)
			for _, text := range texts {
				var out bytes.Buffer
				log := newLog(config.Log{Level: "debug", Format: format}, &out)
				log.Error("a task failed", "script_path", text, "error", errors.New(text), "all", []string{text})
				log.Named("worker").With("label", text).Warn(text, "text", text)
				log.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Info}).Print(text)
				lines := strings.SplitAfter(out.String(), "\n")
				if len(lines) != 4 || lines[3] != "" {
					t.Fatalf("%s, %q: %d lines: %q", format, text, len(lines)-1, lines)
				}
				for _, line := range lines[:3] {
					checkLine(t, format, strings.TrimSuffix(line, "\n"))
				}
			}
		}
	}
}

func checkLine(t *testing.T, format, line string) {
	t.Helper()
	if !utf8.ValidString(line) || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) || strings.HasPrefix(line, "<") {
		t.Errorf("%q", line)
	}
	if format == "json" {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil || !strings.HasPrefix(entry["@module"].(string), "cpulbd") {
			t.Errorf("%q: %v", line, err)
		}
		return
	}
	fields := line[strings.Index(line, "cpulbd"):]
	if i := strings.Index(fields, "script_path="); i >= 0 && strings.Contains(outsideQuotes(fields[i:]), "forged") {
		t.Errorf("a field is forged in %q", line)
	}
}

// outsideQuotes returns what of a line is not between quotes, where a backslash escapes.
func outsideQuotes(line string) (left string) {
	in := false
	for i := 0; i < len(line); i++ {
		switch {
		case in && line[i] == '\\':
			i++
		case line[i] == '"':
			in = !in
		case !in:
			left += line[i : i+1]
		}
	}
	return left
}

func TestPlainRecordsStayAsTheyAre(t *testing.T) {
	t.Setenv("JOURNAL_STREAM", "8:1234")
	var out bytes.Buffer
	newLog(config.Log{Level: "info", Format: "text"}, &out).Info("ready", "pools", 2, "socket", "/run/cpulb/cpulb.sock", "name", "a b")
	if out.String() != "[INFO]  cpulbd: ready: pools=2 socket=/run/cpulb/cpulb.sock name=\"a b\"\n" {
		t.Errorf("%q", out.String())
	}
}

func TestARecordIsWrittenAsAWhole(t *testing.T) {
	for _, record := range []string{"", "\n", "plain\n", "no end", "two\nlines\n"} {
		if n, err := (oneLine{&bytes.Buffer{}}).Write([]byte(record)); n != len(record) || err != nil {
			t.Errorf("%q: %d bytes, %v", record, n, err)
		}
	}
}
