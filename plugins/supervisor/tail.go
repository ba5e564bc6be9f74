package supervisor

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"sync"
)

// tail keeps the end of what is written to it, and the first lines of a crash: the
// stacks that follow may be longer than all that is kept.
type tail struct {
	mu    sync.Mutex
	text  []byte
	crash []string // the last two lines that beginCrash
}

// tailBytes and tailLines bound what is kept of a worker's last words.
const (
	tailBytes = 8 << 10
	tailLines = 20
)

func (t *tail) writeLine(line []byte) { t.writePiece(line, false) }

// writePiece is writeLine of a line of which more comes, unless it is not cut.
func (t *tail) writePiece(line []byte, cut bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.add(line)
	if !cut {
		t.add([]byte{'\n'})
	}
}

func (t *tail) add(b []byte) {
	line := bytes.LastIndexByte(t.text, '\n') + 1 // where b's first line begins
	t.text = append(t.text, b...)
	t.lookForCrash(t.text[line:])
	if over := len(t.text) - tailBytes; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
}

func (t *tail) lookForCrash(text []byte) {
	for line := range bytes.Lines(text) {
		if !beginsCrash(line) || len(line) > tailBytes {
			continue
		}
		said := strings.ToValidUTF8(strings.TrimRight(string(line), "\r\n"), "\uFFFD")
		if !slices.Contains(t.crash, said) { // Go says it twice, on descriptor 2 and in the log
			t.crash = append(t.crash, said)
		}
		t.crash = t.crash[max(0, len(t.crash)-2):]
	}
}

// beginsCrash recognises the first line of a crash as CPython, C++ and Go write it;
// Go turns a signal into a line that begins with its name, and an exit status.
func beginsCrash(line []byte) bool {
	for _, words := range []string{"fatal error: ", "panic: ", "Fatal Python error: ", "terminate called "} {
		if bytes.HasPrefix(line, []byte(words)) {
			return true
		}
	}
	name, _, ok := bytes.Cut(line, []byte(": "))
	return ok && bytes.HasPrefix(name, []byte("SIG")) && bytes.IndexFunc(name, func(r rune) bool { return r < 'A' || r > 'Z' }) < 0
}

// crashed returns the first lines of a crash, "" if there was none.
func (t *tail) crashed() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.crash, "; ")
}

// lines returns the last lines that are not empty. Lines of the executor's own log
// are reduced to their messages, without those for debugging.
func (t *tail) lines() []string {
	t.mu.Lock()
	text, crash := strings.ToValidUTF8(string(t.text), "\uFFFD"), slices.Clone(t.crash)
	t.mu.Unlock()
	var lines []string
	for line := range strings.Lines(text) {
		if line = message(strings.TrimRight(line, "\r\n")); line != "" {
			lines = append(lines, line)
		}
	}
	lines = lines[max(0, len(lines)-tailLines):]
	crash = slices.DeleteFunc(crash, func(line string) bool { return slices.Contains(lines, line) })
	return append(crash, lines...)
}

// message returns the message of a line, "" for one that is only for debugging.
func message(line string) string {
	var entry struct {
		Level   string `json:"@level"`
		Message string `json:"@message"`
		Error   string `json:"error"`
	}
	if json.Unmarshal([]byte(line), &entry) != nil || entry.Level == "" {
		return line
	}
	switch {
	case entry.Level == "trace" || entry.Level == "debug":
		return ""
	case entry.Error != "":
		return entry.Message + ": " + entry.Error
	}
	return entry.Message
}
