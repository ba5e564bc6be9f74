package task

import (
	"bufio"
	"cmp"
	"errors"
	"io"
	"iter"
	"unicode/utf8"
)

// errStopped ends the reader when the caller wants no more.
var errStopped = errors.New("stopped")

// ReadBatch reads {"tasks":[…]} and yields, in order, each task or its error: a bad
// task does not keep the others from being read. If the text can't be read to its
// end, a BatchError comes last; without one the batch is whole.
//
// It holds the text of one task at a time. It reads ahead of what it yields by no more
// than a small buffer.
func ReadBatch(r io.Reader) iter.Seq2[*Task, error] {
	return func(yield func(*Task, error) bool) {
		b := batchReader{values{r: bufio.NewReader(r)}, yield}
		err := b.read()
		if err == nil {
			err = b.ended()
		}
		if err != nil && !errors.Is(err, errStopped) {
			yield(nil, &BatchError{err})
		}
	}
}

// BatchError reports why a text is not a batch, or not to its end.
type BatchError struct{ Err error }

func (e *BatchError) Error() string { return e.Err.Error() }

// Unwrap returns a FieldError, or the reader's error.
func (e *BatchError) Unwrap() error { return e.Err }

// batchNames are those of the object around the tasks.
var batchNames = namesOf("tasks")

// batchReader reads a batch from values.
type batchReader struct {
	values
	yield func(*Task, error) bool
}

// read reads the object around the tasks.
func (b *batchReader) read() error {
	var seen [1]bool
	if err := b.open('{', "body", `an object such as {"tasks":[…]}`); err != nil {
		return err
	}
	err := b.each('}', func() error {
		name, err := b.name()
		if err == nil {
			_, err = batchNames.place(name, "body", seen[:])
		}
		if err == nil {
			err = b.open('[', "tasks", "an array")
		}
		if err != nil {
			return err
		}
		return b.each(']', b.task)
	})
	if err == nil && !seen[0] {
		err = &FieldError{Field: "tasks", Problem: "is missing"}
	}
	return err
}

// task yields the task that comes next, or its error.
func (b *batchReader) task() error {
	s, err := b.next()
	if err != nil {
		return err
	}
	t, _, err := s.task()
	if err != nil { // is it the task's alone?
		s.pos = 0
		if wrong := cmp.Or(s.skip(maxDepth+1), s.ended()); wrong != nil {
			return wrong
		} else if !utf8.Valid(s.text) {
			return err
		}
	}
	if !b.yield(t, err) {
		return errStopped
	}
	return nil
}
