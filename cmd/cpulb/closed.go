package main

import (
	"errors"
	"syscall"
)

// Where a program is started without a stdin or a stdout (>&-), Go's runtime opens /dev/null in their
// place, before any code in Go: what is written is lost, what is read is empty, and both look well.
// So the program begins in cpulb_start (start_linux_*.s), which opens it there the wrong way around:
// reading stdin fails then, and so does writing to stdout, with EBADF, as in other programs. It is
// linked with -E=cpulb_start, which the Makefile and package programs see to.

// unwritten is why something that was written to stdout did not get there.
type unwritten struct{ error }

// Error implements error.
func (u *unwritten) Error() string {
	why := u.error.Error()
	if errors.Is(u.error, syscall.EBADF) {
		why = "it is closed"
	}
	return "stdout can't be written to: " + why
}

// Unwrap returns the error of the write.
func (u *unwritten) Unwrap() error { return u.error }
