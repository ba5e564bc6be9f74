package main

import (
	"errors"
	"syscall"
)

// unwritten is why something that was written to stdout did not get there.
type unwritten struct{ error }

// Error implements error.
func (u *unwritten) Error() string {
	why := u.error.Error()
	if errors.Is(u.error, syscall.EBADF) {
		why = "it is not open for that"
	}
	return "stdout can't be written to: " + why
}

// Unwrap returns the error of the write.
func (u *unwritten) Unwrap() error { return u.error }
