package supervisor

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// shell runs a shell's commands as nobody. It returns the pid that they print first, and how
// they end.
func shell(t *testing.T, ctx context.Context, commands string) (pid int, ended <-chan error) {
	t.Helper()
	if err := MayChangeUser(); err != nil {
		t.Skip("nothing can run as another user here:", err)
	}
	said, err := memoryFile("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { said.Close() })
	end := make(chan error, 1)
	go func() { end <- (&User{UID: nobodyID, GID: nobodyID}).run(ctx, said, "sh", "-c", commands) }()
	for text := make([]byte, 20); ; {
		n, _ := said.ReadAt(text, 0)
		if line, _, ok := strings.Cut(string(text[:n]), "\n"); ok {
			pid, err := strconv.Atoi(line)
			if err != nil {
				t.Fatal(err)
			}
			return pid, end
		}
		if t.Context().Err() != nil {
			t.Fatal("it prints nothing")
		}
	}
}

func TestACommandOfAUserIsNotWaitedForBecauseOfWhoHoldsItsOutput(t *testing.T) {
	holder, ended := shell(t, t.Context(), "sleep 600 & echo $!")
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := unix.Kill(holder, unix.SIGKILL); err != nil {
		t.Errorf("nothing has held it: %v", err)
	}
}

// A process that is traced ends for its tracer first, which may never look.
func TestACommandOfAUserThatAnotherTracesIsGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	pid, ended := shell(t, ctx, "echo $$; exec sleep 600")
	tracer := exec.Command("/proc/self/exe")
	tracer.Env = []string{"SUPERVISOR_TEST_ROLE=tracer", "TRACED=" + strconv.Itoa(pid)}
	tracer.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobodyID, Gid: nobodyID}, Pdeathsig: syscall.SIGKILL}
	tracer.Stderr = os.Stderr
	out, err := tracer.StdoutPipe()
	if err == nil {
		err = tracer.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tracer.Process.Kill(); _ = tracer.Wait() }()
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "traced\n" {
		cancel()
		<-ended
		t.Skipf("nothing can be traced here: %q %v", line, err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, errHeld) {
		t.Error(err)
	}
}
