package procfs_test

import (
	"os"
	"testing"

	"cpulb/internal/procfs"
)

func TestAProcessIsTheSameByItsNumberAndAsSelf(t *testing.T) {
	for _, pid := range []int{procfs.Self, os.Getpid()} {
		cpus, threads := procfs.Threads(pid)
		if cpus == "" || threads < 1 {
			t.Errorf("process %d: %d threads on %q", pid, threads, cpus)
		}
		if n, err := procfs.ResidentBytes(pid); err != nil || n < 1<<20 {
			t.Errorf("process %d: %d bytes are resident: %v", pid, n, err)
		}
		m, err := procfs.ReadMemory(pid)
		if err != nil || m.Peak < 1<<20 || m.Data == 0 || m.Anonymous == 0 {
			t.Errorf("process %d: %+v: %v", pid, m, err)
		}
	}
}

func TestAProcessThatIsNotThereIsAnError(t *testing.T) {
	const beyond = 1 << 30 // the kernel's largest pid is 4 Mi
	if _, err := procfs.ResidentBytes(beyond); err == nil {
		t.Error("the memory of no process was read")
	}
	if _, err := procfs.ReadMemory(beyond); err == nil {
		t.Error("the status of no process was read")
	}
	if cpus, threads := procfs.Threads(beyond); cpus != "" || threads != 0 {
		t.Errorf("no process has %d threads on %q", threads, cpus)
	}
}
