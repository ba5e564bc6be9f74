package supervisor

import (
	"bufio"
	"errors"
	"io"
	"os"
	"strings"
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
