// Package sandbox is the process in which a worker has its WebAssembly modules run: one for
// each slot, which runs one instance after the other, and one for each compilation.
//
// Guarantees. An instance sees its arguments, variables, standard streams, clocks and random
// numbers, and nothing else: no file, socket, process or memory of another instance. The process
// bounds its own memory, has given up what no module needs, and whoever started it may kill it at any time, as nothing is in it
// that has to be put in order: an endless loop, a module that takes the compiler down, or one that finds
// a hole in the runtime costs its own process. Loops run unchecked for that reason: the checks with
// which wazero could end one itself cost a tight loop twenty times its time.
//
// The wire, on descriptor 3, a stream socket: requests go down, each a length (32 bits, little-endian), a Request
// as JSON, the module's bytes and the input's. Frames go up, each a kind (one byte), a length and that many bytes.
// The last of a request is its Report.
package sandbox

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Role is the argument with which the program becomes a sandbox; the next one is a Config
// as JSON.
const Role = "sandbox"

// Socket is the descriptor of the wire.
const Socket = 3

// Config is what holds for a process.
type Config struct {
	// Memory bounds the linear memory of an instance, in bytes; Data the data segment of the
	// process.
	Memory, Data int64
	// CacheDir has compiled modules; empty: they are compiled in each process. Only one with
	// Compiles may write to it.
	CacheDir string
	Compiles bool
	// Interpreted: modules are not compiled to machine code.
	Interpreted bool
}

// Request asks for one module to be run, or, without Function, to be compiled only.
type Request struct {
	// Module identifies the module; ModuleBytes of it follow, 0: the process has it. Forget
	// is one that it need not keep.
	Module      string
	ModuleBytes int64
	Forget      string
	// InputBytes follow, for its standard input.
	InputBytes int64
	// Function is what is called: Main for the module as a command.
	Function string
	Args     []string
	// Env has NAME=value each.
	Env []string
}

// Main is the Function of a module that is run as a whole.
const Main = "main"

// Kind is what a frame has.
type Kind byte

// The kinds of frames.
const (
	// Started: the module has been loaded, and runs from now on.
	Started Kind = 'S'
	// Output and Errors are what it wrote to its descriptors 1 and 2, Events what it gave to
	// the function event, one line each.
	Output Kind = 'O'
	Errors Kind = 'E'
	Events Kind = 'V'
	// Ended has a Report.
	Ended Kind = 'R'
)

// End is how a request ended.
type End string

// The ends.
const (
	// Exited has ExitCode; it is also that of a function that returned.
	Exited End = "exited"
	// Trapped has Message and Trace.
	Trapped End = "trapped"
	// Invalid: it is not a module that can be run here.
	Invalid End = "invalid"
	// Unloaded: it could not be loaded this time, which says nothing of the module.
	Unloaded End = "unloaded"
	// NoFunction: it has no such function.
	NoFunction End = "no function"
)

// Report is the end of a request.
type Report struct {
	End      End
	ExitCode int
	// Message is one line for people, Trace the functions that were active.
	Message, Trace string
	// Denied: it asked for more memory than it may have.
	Denied bool
	// RunNS is wall time in the instance, CPUNS CPU time there.
	RunNS, CPUNS int64
}

// What bounds a Report's texts, which have the names that a module gives its functions.
const (
	mostMessage = 4 << 10
	mostTrace   = 32 << 10
	mostName    = 100
)

// clip bounds r's texts.
func (r *Report) clip() {
	r.Message, r.Trace = clip(r.Message, mostMessage), clip(r.Trace, mostTrace)
}

// clip returns the beginning of text in at most n bytes, and a sign if that is not all.
func clip(text string, n int) string {
	const sign = "…"
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n-len(sign)], "") + sign
}

// ReadReport reads the payload of Ended. A sandbox that has been taken over does not clip.
func ReadReport(payload []byte) (*Report, error) {
	r := new(Report)
	if err := json.Unmarshal(payload, r); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrWire, err)
	}
	r.clip()
	return r, nil
}

// mostFrame bounds a frame of what has to be in memory as a whole.
const mostFrame = 1 << 26

// ErrWire is matched when what came is not of the wire.
var ErrWire = errors.New("not the sandbox's wire")

// WriteRequest sends r with what follows it.
func WriteRequest(w io.Writer, r *Request, module, input []byte) error {
	r.ModuleBytes, r.InputBytes = int64(len(module)), int64(len(input))
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	head := append(binary.LittleEndian.AppendUint32(nil, uint32(len(text))), text...)
	for _, part := range [][]byte{head, module, input} {
		if len(part) > 0 {
			if _, err := w.Write(part); err != nil {
				return err
			}
		}
	}
	return nil
}

// readRequest reads what WriteRequest wrote.
func readRequest(in *bufio.Reader) (r *Request, module, input []byte, err error) {
	var size [4]byte
	if _, err = io.ReadFull(in, size[:]); err != nil {
		return nil, nil, nil, err
	}
	text, err := readBytes(in, int64(binary.LittleEndian.Uint32(size[:])))
	if err != nil {
		return nil, nil, nil, err
	}
	r = new(Request)
	if err = json.Unmarshal(text, r); err != nil {
		return nil, nil, nil, fmt.Errorf("%w: %w", ErrWire, err)
	}
	if module, err = readBytes(in, r.ModuleBytes); err != nil {
		return nil, nil, nil, err
	}
	input, err = readBytes(in, r.InputBytes)
	return r, module, input, err
}

func readBytes(in io.Reader, n int64) ([]byte, error) {
	all := make([]byte, n)
	_, err := io.ReadFull(in, all)
	return all, err
}

// writeFrame sends one frame.
func writeFrame(w io.Writer, kind Kind, payload []byte) error {
	frame := binary.LittleEndian.AppendUint32([]byte{byte(kind)}, uint32(len(payload)))
	_, err := w.Write(append(frame, payload...))
	return err
}

// ReadFrame reads the next frame. What it returns is valid until the next call.
func ReadFrame(in *bufio.Reader, buffer []byte) (Kind, []byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return 0, buffer, err
	}
	size := binary.LittleEndian.Uint32(head[1:])
	if size > mostFrame {
		return 0, buffer, fmt.Errorf("%w: a frame of %d bytes", ErrWire, size)
	}
	if uint32(cap(buffer)) < size {
		buffer = make([]byte, size)
	}
	buffer = buffer[:size]
	_, err := io.ReadFull(in, buffer)
	return Kind(head[0]), buffer, err
}
