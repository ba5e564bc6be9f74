package main

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// whileRead returns a context that ends when ctx does, or when whoever reads stdout has gone:
// a command that waits for what is to come would notice only when that has come. stop is to be
// called when the command no longer waits.
func (t *terminal) whileRead(ctx context.Context) (read context.Context, stop func()) {
	read, cancel := context.WithCancelCause(ctx)
	f, ok := t.raw.out.(*os.File)
	if !ok {
		return read, func() { cancel(nil) }
	}
	wakeRead, wakeWrite, err := os.Pipe()
	if err != nil { // it notices when it writes
		return read, func() { cancel(nil) }
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer wakeRead.Close()
		if readerGone(f, wakeRead) {
			cancel(&fs.PathError{Op: "write", Path: f.Name(), Err: unix.EPIPE})
		}
	}()
	return read, func() {
		cancel(nil)
		_ = wakeWrite.Close() // an error: it is closed all the same
		<-done
	}
}

// readerGone waits until nobody can read what is written to out, and returns true, or until
// the other end of wake is closed.
func readerGone(out, wake *os.File) bool {
	gone := false
	_ = onDescriptor(out, func(o int32) { // an error: stdout is closed
		_ = onDescriptor(wake, func(w int32) {
			// Without events poll returns for POLLERR and POLLHUP alone: a pipe or a socket whose
			// other end is closed, or a terminal that is gone. A file never has them.
			both := []unix.PollFd{{Fd: o}, {Fd: w, Events: unix.POLLIN}}
			for {
				_, err := unix.Poll(both, -1)
				if errors.Is(err, unix.EINTR) {
					continue
				}
				gone = err == nil && both[1].Revents == 0 && both[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0
				return
			}
		})
	})
	return gone
}

// onDescriptor calls use with f's descriptor, which is not closed meanwhile.
func onDescriptor(f *os.File, use func(int32)) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) { use(int32(fd)) })
}

// readerLeft returns the error of a command whose context, which is of whileRead, has ended
// because nobody reads any longer; nil: it has ended otherwise, e.g. by Ctrl-C.
func readerLeft(read context.Context) error {
	var gone *fs.PathError
	if errors.As(context.Cause(read), &gone) {
		return gone
	}
	return nil
}
