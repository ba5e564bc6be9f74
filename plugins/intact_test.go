package plugins

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"cpulb/daemon/task"

	"golang.org/x/sys/unix"
)

// A script puts something else in the place of its slot's connection, of which there is a
// copy, so that the daemon sees nothing of it.
func TestAWorkerEndsWhenItsSlotHasAnotherDescriptor(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	for name, other := range map[string]int{"a file": int(file.Fd()), "a socket": pair[0]} {
		t.Run(name, func(t *testing.T) {
			known, ended := make(chan *worker, 1), make(chan struct{})
			replaced, looked := make(chan struct{}), make(chan struct{})
			fd, w := serveSlot(t, scripted{"replaces": func(*Task, Emitter) Outcome {
				mine := (<-known).slots[0].up.fd
				saved, err := unix.FcntlInt(uintptr(mine), unix.F_DUPFD_CLOEXEC, 0)
				if err != nil || unix.Dup3(other, mine, unix.O_CLOEXEC) != nil {
					t.Error("it can't be replaced", err)
				}
				t.Cleanup(func() { unix.Close(saved) })
				close(replaced)
				<-looked
				return Outcome{Status: task.Completed, Data: []byte(`"long"`)}
			}})
			once := false
			w.end = func() {
				if !once {
					once = true
					close(ended)
				}
			}
			t.Cleanup(func() { _ = unix.Shutdown(pair[1], unix.SHUT_RDWR) }) // it reads there now
			known <- w
			sendTasks(t, fd, 1, "replaces")
			<-replaced
			w.lookAfter()
			<-ended
			close(looked)
		})
	}
	if about, err := file.Stat(); err != nil || about.Size() > 0 {
		t.Errorf("something was written into a script's file: %v %v", about, err)
	}
}

// It may look just then.
func TestAWorkerIsNotEndedForASlotWhoseConnectionTheDaemonCloses(t *testing.T) {
	for range 200 {
		fd, w := serveSlot(t, scripted{})
		w.end = func() { t.Error("it ends") }
		for w.slots[0].slot.Load() == nil {
			runtime.Gosched()
		}
		go unix.Shutdown(fd, unix.SHUT_RDWR)
		for w.slots[0].slot.Load() != nil {
			w.lookAfter()
		}
	}
}
