package plugins

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"time"

	"cpulb/plugins/reaper"

	"golang.org/x/sys/unix"
)

// A worker inherits three descriptors in addition to 0 to 2; the daemon names each in
// an environment variable.
const (
	// LifelineEnv: a pipe that reaches its end when the daemon ends, in whatever way.
	LifelineEnv = "CPULB_LIFELINE_FD"
	// ProgramEnv: the program's own file, by which the kernel executed it. Only a
	// script with a #! line needs it, until its interpreter has read it.
	ProgramEnv = "CPULB_PROGRAM_FD"
	// OutputEnv: a pipe for what is written to descriptors 1 and 2 once the
	// handshake is done. The daemon drains it at any length and keeps its last
	// lines, which are often a crash's only words.
	OutputEnv = "CPULB_OUTPUT_FD"
)

var errNoDescriptor = errors.New("a descriptor that the daemon has to pass is missing")

// inherited takes over the descriptor that a variable names; processes of scripts do
// not inherit it.
func inherited(name string) (fd int, err error) {
	fd, err = strconv.Atoi(os.Getenv(name))
	if err != nil {
		return -1, fmt.Errorf("%w: %s: %w", errNoDescriptor, name, err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC); err != nil {
		return -1, fmt.Errorf("%w: %s: %w", errNoDescriptor, name, err)
	}
	return fd, nil
}

// ownStderr returns a second descriptor of stderr for the log, because Configure
// gives descriptor 2 to the scripts. Go's last words on a crash go there, too.
func ownStderr() *os.File {
	fd, err := unix.FcntlInt(2, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return os.Stderr
	}
	f := os.NewFile(uintptr(fd), "log")
	_ = debug.SetCrashOutput(f, debug.CrashOptions{}) // without it they go to descriptor 2
	return f
}

// nameProcess gives the process the name of its program. Because it was executed
// through a descriptor, ps and top would show the descriptor's number.
func nameProcess() {
	_ = os.WriteFile("/proc/self/comm", []byte(filepath.Base(os.Args[0])), 0) // cosmetic
}

// closeProgram closes our own file, which has been executed.
func closeProgram() {
	if fd, err := inherited(ProgramEnv); err == nil {
		_ = unix.Close(fd)
	}
}

// reapTimeout bounds the search for processes that scripts have started.
const reapTimeout = 500 * time.Millisecond

// watchLifeline calls end when the daemon ends: scripts and their children must not
// outlive it.
func watchLifeline(end func()) {
	fd, err := inherited(LifelineEnv)
	if err != nil {
		return // started by hand: go-plugin will say so
	}
	_ = unix.SetNonblock(fd, false) // else the loop below would spin
	go func() {
		var b [1]byte
		for {
			n, err := unix.Read(fd, b[:])
			if err == unix.EINTR || err == unix.EAGAIN || n > 0 {
				continue
			}
			end() // nothing is logged: nobody reads the log any more
		}
	}()
}

// endAll ends this process with all that it has started, which bears this mark.
func endAll(mark string) {
	ctx, cancel := context.WithTimeout(context.Background(), reapTimeout)
	defer cancel()
	_ = reaper.KillTree(ctx, os.Getpid(), mark) // the daemon, or the next one, ends what survives
	_ = unix.Kill(0, unix.SIGKILL)
}

// redirectOutput moves descriptors 1 and 2 away from go-plugin, which stops reading
// at a line of 64 KiB. Output there was written past sys.stdout, so it belongs to no
// known task.
func redirectOutput() error {
	out, err := inherited(OutputEnv)
	if err != nil {
		return err
	}
	defer unix.Close(out)
	for fd := 1; fd <= 2; fd++ {
		if err := unix.Dup3(out, fd, 0); err != nil {
			return fmt.Errorf("dup: %w", err)
		}
	}
	return nil
}

// scrub removes the variables that scripts must not see.
func scrub() {
	for _, name := range []string{LifelineEnv, ProgramEnv, OutputEnv, Handshake().MagicCookieKey, "PLUGIN_MIN_PORT", "PLUGIN_MAX_PORT",
		"PLUGIN_PROTOCOL_VERSIONS", "PLUGIN_UNIX_SOCKET_DIR", "PLUGIN_UNIX_SOCKET_GROUP", "PLUGIN_CLIENT_CERT", "PLUGIN_MULTIPLEX_GRPC"} {
		_ = os.Unsetenv(name)
	}
}
