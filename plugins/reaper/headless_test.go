package reaper_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// roleEnv makes this test binary, executed anew, something else than the tests.
const roleEnv = "REAPER_TEST_ROLE"

func TestMain(m *testing.M) {
	if os.Getenv(roleEnv) == "headless" {
		beHeadless()
	}
	os.Exit(m.Run())
}

// main stays on the process's first thread when init has locked it there.
func init() {
	if os.Getenv(roleEnv) != "" {
		runtime.LockOSThread()
	}
}

// beHeadless ends the process's first thread, which calls it, and not the others. One of them
// says the pid when the kernel shows that.
func beHeadless() {
	if os.Getenv("CHILD") != "" { // of the thread that ends
		child := exec.Command("sleep", "1000")
		if err := child.Start(); err != nil {
			panic(err)
		}
		fmt.Println(child.Process.Pid)
	}
	go func() {
		for !firstThreadEnded() {
			time.Sleep(time.Millisecond)
		}
		fmt.Println(os.Getpid())
		_ = unix.Dup2(int(os.Stderr.Fd()), int(os.Stdout.Fd())) // whoever reads to the end goes on
		select {}
	}()
	_, _, _ = unix.Syscall(unix.SYS_EXIT, 0, 0, 0)
}

func firstThreadEnded() bool {
	line, err := os.ReadFile("/proc/self/stat")
	return err == nil && bytes.Contains(line, []byte(") Z "))
}
