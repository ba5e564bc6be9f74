package sandbox

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Serve is the main function of a sandbox: it answers requests on Socket until that is closed.
// It is called with the program's arguments that follow Role.
func Serve(args []string) error {
	runtime.LockOSThread() // for its CPU time
	var c Config
	if len(args) != 1 {
		return fmt.Errorf("%w: %d arguments", ErrWire, len(args))
	}
	if err := json.Unmarshal([]byte(args[0]), &c); err != nil {
		return fmt.Errorf("%w: %w", ErrWire, err)
	}
	if err := limit(c.Data); err != nil {
		return err
	}
	ctx := context.Background()
	e, err := newEngine(ctx, c)
	if err != nil {
		return err
	}
	if err := enclose(c, syscall.AllThreadsSyscall); err != nil {
		return fmt.Errorf("what a sandbox does not need can't be given up: %w", err)
	}
	wire := os.NewFile(Socket, "wire")
	in := bufio.NewReader(wire)
	for {
		r, module, input, err := readRequest(in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = e.serve(ctx, wire, r, module, input)
		}
		if err != nil {
			return err
		}
	}
}

// limit bounds the process's data segment, as far as it is not bounded more closely already.
// An out of memory is its end then, and nobody else's.
func limit(data int64) error {
	var now unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_DATA, &now); err != nil {
		return err
	}
	most := min(uint64(data), now.Max)
	if err := unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: most, Max: most}); err != nil {
		return err
	}
	return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
}

func (e *engine) serve(ctx context.Context, wire io.Writer, r *Request, module, input []byte) error {
	if r.Forget != "" {
		e.forget(ctx, r.Forget)
	}
	m, err := e.load(ctx, r.Module, module)
	end := &Report{End: Exited}
	switch {
	case errors.Is(err, errUnloaded):
		end.End, end.Message = Unloaded, err.Error()
	case err != nil:
		end.End, end.Message = Invalid, err.Error()
	case r.Function != "":
		if err := writeFrame(wire, Started, nil); err != nil {
			return err
		}
		to := streams{output: &stream{wire: wire, kind: Output}, errors: &stream{wire: wire, kind: Errors}}
		to.events = func(line []byte) {
			to.output.flush() // in the order in which they came
			_ = writeFrame(wire, Events, line)
		}
		end = e.run(ctx, m, r, input, to)
		to.output.flush()
		to.errors.flush()
	}
	end.clip()
	text, err := json.Marshal(end)
	if err != nil {
		return err
	}
	return writeFrame(wire, Ended, text)
}

// mostHeld is how much of a line a stream holds back.
const mostHeld = 16 << 10

// stream sends what an instance writes, at the end of each line, so that one that writes a
// byte at a time does not send a frame for each.
type stream struct {
	wire io.Writer
	kind Kind
	held []byte
}

// Write implements io.Writer. An error of the wire is met again by the report.
func (s *stream) Write(p []byte) (int, error) {
	for part := p; len(part) > 0; {
		n := min(len(part), mostHeld)
		s.held = append(s.held, part[:n]...)
		if len(s.held) >= mostHeld || bytes.IndexByte(part[:n], '\n') >= 0 {
			s.flush()
		}
		part = part[n:]
	}
	return len(p), nil
}

func (s *stream) flush() {
	if len(s.held) > 0 {
		_ = writeFrame(s.wire, s.kind, s.held)
		s.held = s.held[:0]
	}
}
