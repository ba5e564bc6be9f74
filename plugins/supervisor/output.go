package supervisor

import (
	"bufio"
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

// forwardHandshake passes the first line on and drains the rest at any length, so
// that no program can block on a full pipe.
func forwardHandshake(r *os.File) *io.PipeReader {
	pr, pw := io.Pipe()
	go func() {
		defer r.Close()
		lines := bufio.NewReaderSize(r, maxHandshake)
		line, err := lines.ReadSlice('\n')
		if err == nil || len(line) > 0 && errors.Is(err, io.EOF) {
			_, _ = pw.Write(line) // an error: nobody reads the handshake any more
		}
		pw.Close()
		_, _ = io.Copy(io.Discard, lines)
	}()
	return pr
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

func (t *tail) lines() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.text) == 0 {
		return nil
	}
	lines := strings.Split(strings.ToValidUTF8(strings.TrimRight(string(t.text), "\n"), "\uFFFD"), "\n")
	return lines[max(0, len(lines)-tailLines):]
}
