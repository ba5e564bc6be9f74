package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"syscall"

	"cpulb/daemon/task"

	"golang.org/x/sys/unix"
)

// mapRecord is the result of one line of the input: one line of the output.
type mapRecord struct {
	Line   int             `json:"line"`
	ID     task.ID         `json:"task_id"`
	Status string          `json:"status"`
	Data   json.RawMessage `json:"data"`
	Error  *task.Error     `json:"error"`
}

// statusRefused is of a line that never became a task.
const statusRefused = "refused"

func (r *mapRecord) completed() bool { return r.Status == task.Completed.String() }

// mapOutput is where the results go.
type mapOutput struct {
	out  io.Writer
	file *os.File // nil: not ours to close
	name string   // of file
	// run is that of what the file has already, in its order; failed is how many of these did
	// not complete.
	run    mapRun
	known  []task.ID
	failed int
	// passed are those of known that are refusals that pass. If there are any, old has the
	// results of the file once more, for who reads the input; mend is how they come out of the
	// file, and replaced the file that it then took the place of.
	passed   map[task.ID]struct{}
	old      *bufio.Reader
	mend     *mend
	replaced *os.File
}

// openOutput opens the file to write to, or to go on with; without a name it is stdout.
func openOutput(name string, t *terminal) (*mapOutput, error) {
	if name == "" {
		return &mapOutput{out: t.data(), run: newMapRun()}, nil
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, usageError{fmt.Errorf("--resume: %w", err)}
	}
	o := &mapOutput{out: f, file: f, name: name, passed: map[task.ID]struct{}{}}
	if err := o.take(t.in); err != nil {
		o.close()
		return nil, usageError{fmt.Errorf("--resume: %s: %w", name, err)}
	}
	return o, nil
}

// take makes the file this run's alone, and reads what it has.
func (o *mapOutput) take(in io.Reader) error {
	info, err := o.file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is not a regular file, so that there is nothing to go on with")
	}
	if stdin, ok := in.(*os.File); ok {
		if from, err := stdin.Stat(); err == nil && os.SameFile(from, info) {
			return errors.New("it is the input, too")
		}
	}
	if err := unix.Flock(int(o.file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("another cpulb map writes to it: %w", err)
	}
	whole, err := o.read()
	if err != nil {
		return err
	}
	if err := o.file.Truncate(whole); err != nil {
		return err
	}
	if len(o.passed) > 0 {
		return o.beginMend(whole)
	}
	_, err = o.file.Seek(whole, io.SeekStart)
	return err
}

// read reads the results that are there, and returns where they end: a line that was torn,
// because its writer was killed, is not one of them.
func (o *mapOutput) read() (whole int64, err error) {
	in := bufio.NewReader(o.file)
	for number := 1; ; number++ {
		// A file of another kind may be one line as long as a disk, which is not to be read.
		if first, err := in.Peek(1); err == nil && first[0] != '{' && (first[0] != 0 || len(o.known) == 0) {
			return 0, fmt.Errorf("its line %d is not a result of cpulb map; give it another file", number)
		}
		text, err := in.ReadBytes('\n')
		switch {
		case errors.Is(err, io.EOF) && len(text) > 0 && !o.torn(text):
			return 0, fmt.Errorf("its line %d, which has no end, is not surely the beginning of a result of cpulb map; remove it, or give another file", number)
		case errors.Is(err, io.EOF):
			if len(o.known) == 0 {
				o.run = newMapRun()
			}
			return whole, nil
		case err != nil:
			return 0, err
		}
		if err := o.add(text); err != nil {
			return 0, fmt.Errorf("its line %d is %w; give it another file, or correct this one", number, err)
		}
		whole += int64(len(text))
	}
}

// add takes one line that the file has.
func (o *mapOutput) add(text []byte) error {
	var r mapRecord
	if err := json.Unmarshal(text, &r); err != nil || r.Line == 0 {
		return errors.New("not a result of cpulb map")
	}
	run, line, _, ok := mapRunOf(r.ID)
	switch {
	case !ok || line != r.Line:
		return errors.New("not a result of cpulb map, or was changed")
	case len(o.known) == 0:
		o.run = run
	case run != o.run:
		return errors.New("the result of another run")
	default:
		if _, last, _, _ := mapRunOf(o.known[len(o.known)-1]); line <= last {
			return fmt.Errorf("the result of input line %d, and that before it of %d", line, last)
		}
	}
	switch {
	case r.passes():
		o.passed[r.ID] = struct{}{}
	case !r.completed():
		o.failed++
	}
	o.known = append(o.known, r.ID)
	return nil
}

// write writes the result of a line. It is one call of the system, so that a result is in the
// file as soon as it has been counted.
func (o *mapOutput) write(l *mapLine) error {
	var line bytes.Buffer
	line.Write(l.old)
	if l.old == nil {
		if err := printJSON(&line, l.record); err != nil {
			return err
		}
	}
	_, err := o.out.Write(line.Bytes())
	if err == nil && o.mend != nil && l.number == o.mend.last {
		err = o.endMend()
	}
	if err != nil {
		return fmt.Errorf("results: %w", err)
	}
	return nil
}

// resumable returns the name of the file that a run that was interrupted can go on with.
// wrote: it has written to it.
func (o *mapOutput) resumable(t *terminal, wrote bool) string {
	f := o.file
	if f == nil && wrote {
		f, _ = t.raw.out.(*os.File)
	}
	if f == nil {
		return ""
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return ""
	}
	if o.file != nil {
		return o.name
	}
	if info.Sys().(*syscall.Stat_t).Nlink == 0 { // it has been removed
		return ""
	}
	name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err != nil {
		return ""
	}
	return name
}

// last returns the last line of which a result was there.
func (o *mapOutput) last() int {
	if len(o.known) == 0 {
		return 0
	}
	return lineOf(o.known[len(o.known)-1])
}

// quoted is a word as a shell wants it.
func quoted(word string) string {
	if plain, _ := regexp.MatchString(`^[\w@%+=:,./-]+$`, word); plain {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

func (o *mapOutput) close() error {
	if o.file == nil {
		return nil
	}
	err := errors.Join(o.abandonMend(), o.file.Close())
	if o.replaced != nil {
		_ = o.replaced.Close() // nothing was written to it
	}
	return err
}
