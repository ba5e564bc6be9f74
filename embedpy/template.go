package embedpy

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// Module is one of a template's: the name, what tracebacks show as its file, its source and,
// if it is at hand, its code as LoadCompiled has it.
type Module struct {
	Name, File, Source string
	Compiled           []byte
}

// Template is a process of one thread with a CPython of its own: this program, executed once
// more, which never comes to its main function. See template.c.
type Template struct {
	cmd     *exec.Cmd
	control *os.File
}

// StartTemplate starts one and returns once the function serve of its module cpulb.template, called
// with settings, has answered with "+"; another answer is an error with its text. control is this end
// of a socket whose other end is the first of inherited; what follows are others for serve.
func StartTemplate(executable string, modules []Module, settings []byte, control *os.File, inherited []*os.File) (*Template, string, error) {
	output, err := unix.FcntlInt(2, unix.F_DUPFD_CLOEXEC, 3) // os.Stderr may be another's
	if err != nil {
		return nil, "", err
	}
	log := os.NewFile(uintptr(output), "log")
	defer log.Close()
	cmd := &exec.Cmd{Path: "/proc/self/exe", Args: []string{"cpulb-python", "template", "3", strconv.Itoa(len(inherited) - 1)}, Dir: "/", ExtraFiles: inherited,
		Stdout: log, Stderr: log}
	if err := startOrdinary(cmd); err != nil {
		return nil, "", err
	}
	t := &Template{cmd: cmd, control: control}
	if executable == "" {
		var err error
		if executable, err = linkedExecutable(); err != nil {
			t.Close()
			return nil, "", err
		}
	}
	for _, f := range inherited {
		_ = f.Close()
	}
	answer, err := t.begin(executable, modules, settings)
	if err != nil {
		t.Close()
		return nil, "", fmt.Errorf("%w: the template: %w", ErrInit, err)
	}
	return t, answer, nil
}

func (t *Template) begin(executable string, modules []Module, settings []byte) (string, error) {
	var b []byte
	text := func(s string) { b = append(binary.NativeEndian.AppendUint32(b, uint32(len(s))), s...) }
	text(executable)
	for _, m := range modules {
		text(m.Name)
		text(m.File)
		text(m.Source)
		text(string(m.Compiled))
	}
	text("")
	text(string(settings))
	if _, err := t.control.Write(b); err != nil {
		return "", err
	}
	var size [4]byte
	if _, err := io.ReadFull(t.control, size[:]); err != nil {
		return "", err
	}
	answer := make([]byte, min(binary.NativeEndian.Uint32(size[:]), 1<<20))
	_, err := io.ReadFull(t.control, answer)
	return string(answer), err
}

// startOrdinary starts a process that has the timers of an ordinary one.
func startOrdinary(cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ReturnSlack()
	return cmd.Start()
}

// Wait returns when the process has ended.
func (t *Template) Wait() { _ = t.cmd.Wait() }

// Close has it end, and all that it has forked that nobody else holds.
func (t *Template) Close() { _ = t.control.Close() }

// LinkedExecutable is the python that belongs to the libpython that is linked.
func LinkedExecutable() (string, error) { return linkedExecutable() }
