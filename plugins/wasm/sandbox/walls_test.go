package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// enclosedRole is the argument with which this program encloses itself, and says what it can do
// then.
const enclosedRole = "enclosed"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == enclosedRole {
		runtime.LockOSThread() // what it does is done by the thread that gave it up
		tryAll(os.Args[2])
		return
	}
	os.Exit(m.Run())
}

// deeds are what code in a sandbox might try, by their names.
func deeds(cache string, other int) map[string]func() error {
	within := filepath.Join(cache, "file")
	return map[string]func() error{
		"read the cache":        func() error { _, err := os.ReadFile(within); return err },
		"write to the cache":    func() error { return os.WriteFile(filepath.Join(cache, "new"), []byte("x"), 0o600) },
		"empty a file":          func() error { return closed(unix.Open(within, unix.O_RDONLY|unix.O_TRUNC, 0)) },
		"rename in the cache":   func() error { return errors.Join(os.Rename(within, within+"2"), os.Rename(within+"2", within)) },
		"read another file":     func() error { _, err := os.ReadFile("/etc/passwd"); return err },
		"read its own memory":   func() error { return closed(unix.Open("/proc/self/mem", unix.O_RDONLY, 0)) },
		"list a folder":         func() error { _, err := os.ReadDir("/"); return err },
		"write another file":    func() error { return os.WriteFile(cache+"-beside", nil, 0o600) },
		"make a folder":         func() error { return os.Mkdir(filepath.Join(cache, "folder"), 0o700) },
		"start a program":       func() error { return unix.Exec("/bin/true", []string{"true"}, nil) },
		"make a socket":         func() error { return closed(unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)) },
		"connect":               func() error { return closedConn(net.Dial("unix", "/nowhere")) },
		"signal another":        func() error { return unix.Kill(other, 0) },
		"signal its thread":     func() error { return unix.Tgkill(other, other, 0) },
		"trace another":         func() error { return unix.PtraceAttach(other) },
		"have another signaled": func() error { _, err := unix.FcntlInt(0, unix.F_SETOWN, other); return err },
		"bound another":         func() error { return unix.Prlimit(other, unix.RLIMIT_NOFILE, nil, new(unix.Rlimit)) },
		"fork": func() error {
			pid, _, err := unix.RawSyscall(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0)
			if pid == 0 && err == 0 {
				unix.Exit(0)
			}
			return errOf(err)
		},
		"have executable memory": func() error {
			page, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
			if err == nil {
				err = unix.Mprotect(page, unix.PROT_READ|unix.PROT_EXEC)
			}
			return err
		},
		"have a thread": func() error {
			done := make(chan struct{})
			go func() { runtime.LockOSThread(); close(done) }()
			<-done
			return nil
		},
	}
}

func errOf(err syscall.Errno) error {
	if err == 0 {
		return nil
	}
	return err
}

func closed(fd int, err error) error {
	if err == nil {
		unix.Close(fd)
	}
	return err
}

func closedConn(c net.Conn, err error) error {
	if err == nil {
		c.Close()
	}
	return err
}

// tryAll encloses the process and prints the deeds that succeed.
func tryAll(text string) {
	var c Config
	err := json.Unmarshal([]byte(text), &c)
	all := deeds(c.CacheDir, os.Getppid())
	if err == nil {
		err = enclose(c, oneThread)
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	for name, do := range all {
		if err := do(); err == nil {
			fmt.Println(name)
		} else if !errors.Is(err, fs.ErrPermission) {
			fmt.Println(name, "fails with", err)
		}
	}
}

func TestASandboxCanDoWhatModulesNeedAndNothingElse(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	needed := []string{"have a thread", "have executable memory", "read the cache"}
	for name, c := range map[string]struct {
		compiles bool
		can      []string
	}{
		"one that runs":     {false, needed},
		"one that compiles": {true, append([]string{"rename in the cache", "write to the cache"}, needed...)},
	} {
		t.Run(name, func(t *testing.T) {
			config := Config{CacheDir: filepath.Join(t.TempDir(), "cache"), Compiles: c.compiles}
			if err := os.Mkdir(config.CacheDir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(config.CacheDir, "file"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			text, _ := json.Marshal(config)
			out, err := exec.Command(program, enclosedRole, string(text)).CombinedOutput()
			can := strings.Split(strings.TrimSpace(string(bytes.TrimSpace(out))), "\n")
			slices.Sort(can)
			slices.Sort(c.can)
			if err != nil || !slices.Equal(can, c.can) {
				t.Errorf("%v: it can\n%s\nwanted\n%s", err, strings.Join(can, "\n"), strings.Join(c.can, "\n"))
			}
		})
	}
}

// oneThread is enough for a test, whose program may be one with cgo, which everyThread is not for.
func oneThread(trap, a1, a2, a3 uintptr) (r1, r2 uintptr, err syscall.Errno) {
	return syscall.Syscall(trap, a1, a2, a3)
}
