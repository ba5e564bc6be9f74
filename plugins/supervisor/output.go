package supervisor

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
)

// What a worker's pipes bring may be a script's: it runs in that process, and finds every
// descriptor there. So all of it is logged as text that the worker has said, under the
// worker's name, whatever it claims to be; it is never read as a record of the daemon's
// own log. Each pipe, and the executor's errors, have a share of the log.

// maxHandshake bounds the first line of a program's stdout; go-plugin's own is
// far shorter, and a foreign program may print without end.
const maxHandshake = 4 << 10

// afterlife is how long a pipe is still read after the worker's end. Its own last
// words are in the pipe by then; only what left the process group can keep a pipe
// open, and must not keep us.
const afterlife = time.Second

// forwardHandshake passes the first line on, after seen has seen it, and drains the rest at
// any length, so that no program can block on a full pipe.
func forwardHandshake(r *os.File, to *io.PipeWriter, seen func(line string)) {
	defer r.Close()
	lines := bufio.NewReaderSize(r, maxHandshake)
	line, err := lines.ReadSlice('\n')
	if err == nil || len(line) > 0 && errors.Is(err, io.EOF) {
		seen(string(line))
		_, _ = to.Write(line) // an error: nobody reads the handshake any more
	}
	to.Close()
	_, _ = io.Copy(io.Discard, lines)
}

// eachLine calls f with every line of r until its end, or the end of its afterlife, in
// pieces of at most size bytes. It closes r.
func eachLine(r *os.File, size int, f func(line []byte, cut bool)) {
	defer r.Close()
	lines := bufio.NewReaderSize(r, size)
	for {
		line, cut, err := lines.ReadLine()
		if err != nil {
			return
		}
		f(line, cut)
	}
}

// logOutput logs what comes from descriptors 1 and 2 of a configured worker, in
// pieces of at most 8 KiB, and keeps its end.
func logOutput(r *os.File, log hclog.Logger, last *tail) {
	share := newThrottle(log, "output outside any task")
	defer share.tell()
	eachLine(r, 8<<10, func(line []byte, cut bool) {
		last.writeLine(line)
		if share.admits(len(line)) {
			log.Info("output outside any task", "text", hclog.Quote(valid(line)), "cut", cut)
		}
	})
}

// logExecutor logs what comes from descriptor 2 of a program, which is the executor's log
// from when it is configured: entries of hclog, stacks, and the last words of a crash.
func logExecutor(r *os.File, log hclog.Logger, last *tail) {
	errors, rest := newThrottle(log, "the executor's warnings and errors"), newThrottle(log, "the executor's log")
	defer rest.tell()
	defer errors.tell()
	crashed, continued := false, false
	eachLine(r, maxEntry, func(line []byte, cut bool) {
		last.writePiece(line, cut)
		said := entry{level: hclog.Info, text: valid(line)}
		if !cut && !continued {
			crashed = crashed || beginsCrash(line)
			said.parse(line)
		}
		continued = cut
		if crashed {
			said.level = max(said.level, hclog.Error)
		}
		share := rest
		if said.level >= hclog.Warn {
			share = errors
		}
		if log.GetLevel() <= said.level && share.admits(len(line)) {
			said.log(log)
		}
	})
}

// maxEntry bounds a line of the executor's log; what is longer is logged in pieces. A
// stack may be long.
const maxEntry = 64 << 10

// entry is what a line of the executor's log says.
type entry struct {
	level hclog.Level
	text  string
	// fields are the further fields of an entry, as JSON.
	fields string
}

// parse reads a line that is an entry, and leaves another one as the text that it is. Who
// wrote it, when and from where is not for the line to say.
func (e *entry) parse(line []byte) {
	var fields map[string]json.RawMessage
	if !bytes.HasPrefix(line, []byte("{")) || json.Unmarshal(line, &fields) != nil {
		return
	}
	var level, message string
	if json.Unmarshal(fields["@level"], &level) != nil || json.Unmarshal(fields["@message"], &message) != nil {
		return
	}
	known, ok := map[string]hclog.Level{"trace": hclog.Debug, "debug": hclog.Debug, "info": hclog.Info, "warn": hclog.Warn,
		"error": hclog.Error}[level]
	if !ok {
		return
	}
	for _, name := range []string{"@level", "@message", "@timestamp", "@module", "@caller"} {
		delete(fields, name)
	}
	e.level, e.text = known, message
	if text, err := json.Marshal(fields); err == nil && len(fields) > 0 {
		e.fields = string(text)
	}
}

func (e *entry) log(log hclog.Logger) {
	args := []any{"text", hclog.Quote(e.text)}
	if e.fields != "" {
		args = append(args, "fields", hclog.Quote(e.fields))
	}
	log.Log(e.level, "the executor says", args...)
}

func valid(line []byte) string { return strings.ToValidUTF8(string(line), "\uFFFD") }
