package supervisor

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// maxHandshake bounds the first line of a program's stdout; go-plugin's own is
// far shorter, and a foreign program may print without end.
const maxHandshake = 4 << 10

// afterlife is how long a pipe is still read after the worker's end. Its own last
// words are in the pipe by then; only what left the process group can keep a pipe
// open, and must not keep us.
const afterlife = time.Second

// mortal is a pipe whose afterlife's end is its end, and no error to go-plugin.
type mortal struct{ *os.File }

func (m mortal) Read(b []byte) (int, error) {
	n, err := m.File.Read(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = io.EOF
	}
	return n, err
}

// forwardHandshake passes the first line on and drains the rest at any length, so
// that no program can block on a full pipe.
func forwardHandshake(r *os.File, to *io.PipeWriter) {
	defer r.Close()
	lines := bufio.NewReaderSize(r, maxHandshake)
	line, err := lines.ReadSlice('\n')
	if err == nil || len(line) > 0 && errors.Is(err, io.EOF) {
		_, _ = to.Write(line) // an error: nobody reads the handshake any more
	}
	to.Close()
	_, _ = io.Copy(io.Discard, lines)
}

// logOutput logs what comes from descriptors 1 and 2 of a configured worker, in
// pieces of at most 8 KiB, and keeps its end.
func logOutput(r *os.File, log hclog.Logger, last *tail) {
	defer r.Close()
	lines := bufio.NewReaderSize(r, 8<<10)
	for {
		line, cut, err := lines.ReadLine()
		if err != nil {
			return // the end, or the end of its afterlife
		}
		last.writeLine(line)
		log.Info("output outside any task", "text", strings.ToValidUTF8(string(line), "\uFFFD"), "cut", cut)
	}
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// tailBytes and tailLines bound what is kept of a worker's last words.
const (
	tailBytes = 8 << 10
	tailLines = 20
)

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.add(b)
	return len(b), nil
}

func (t *tail) writeLine(line []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.add(line)
	t.add([]byte{'\n'})
}

func (t *tail) add(b []byte) {
	t.text = append(t.text, b...)
	if over := len(t.text) - tailBytes; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
}

// lines returns the last lines that say something. Of the executor's own log the
// messages are left, and nothing of its debugging.
func (t *tail) lines() []string {
	t.mu.Lock()
	text := strings.ToValidUTF8(string(t.text), "\uFFFD")
	t.mu.Unlock()
	var lines []string
	for line := range strings.Lines(text) {
		if line = message(strings.TrimRight(line, "\r\n")); line != "" {
			lines = append(lines, line)
		}
	}
	return lines[max(0, len(lines)-tailLines):]
}

// message is what a line says, "" for one that only serves to debug.
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
