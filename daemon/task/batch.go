package task

import (
	"errors"
	"iter"
	"unicode/utf8"
)

// errStopped ends the scanner when the caller wants no more.
var errStopped = errors.New("stopped")

// DecodeBatch reads {"tasks":[…]} and yields, in order, each task or its error: a bad
// task does not keep the others from being read. If the text can't be read to its
// end, a BatchError comes last.
func DecodeBatch(text []byte) iter.Seq2[*Task, error] {
	return func(yield func(*Task, error) bool) {
		s := scanner{text: text}
		err := s.batch(yield)
		if err == nil {
			err = s.ended()
		}
		if err != nil && !errors.Is(err, errStopped) {
			yield(nil, &BatchError{err})
		}
	}
}

// BatchError reports why a text is not a batch, or not to its end.
type BatchError struct{ Err error }

func (e *BatchError) Error() string { return e.Err.Error() }

// Unwrap returns the FieldError.
func (e *BatchError) Unwrap() error { return e.Err }

// batch reads the object around the tasks.
func (s *scanner) batch(yield func(*Task, error) bool) error {
	if c := s.peek(); c != '{' && c != 0 {
		return s.wrongKind("body", `an object such as {"tasks":[…]}`)
	}
	seen := false
	err := s.members(func(name []byte) error {
		switch {
		case string(name) != "tasks":
			return &FieldError{Field: clip(string(name)), Problem: "unknown field", Allowed: []string{"tasks"}}
		case seen:
			return &FieldError{Field: "tasks", Problem: "is given twice"}
		case s.peek() != '[':
			return s.wrongKind("tasks", "an array")
		}
		seen = true
		return s.each(yield)
	})
	if err == nil && !seen {
		err = &FieldError{Field: "tasks", Problem: "is missing"}
	}
	return err
}

// each reads an array of tasks.
func (s *scanner) each(yield func(*Task, error) bool) error {
	return s.elements(func() error {
		start := s.pos
		t, _, err := s.task()
		if err != nil { // find its end
			s.pos = start
			if value, wrong := s.value(); wrong != nil {
				return wrong
			} else if !utf8.Valid(value) {
				return err
			}
		}
		if !yield(t, err) {
			return errStopped
		}
		return nil
	})
}
