package supervisor

import (
	"os"
	"testing"
)

func TestThereAreThreadsAheadOfNeed(t *testing.T) {
	var l Launcher
	l.threads.replenish()
	before := ownThreads(t)
	occupyThreads(spareThreads / 2) // as many goroutines that are in the kernel
	if after := ownThreads(t); after > before {
		t.Errorf("%d threads became %d", before, after)
	}
}

func TestAStartsThreadIsMadeAnew(t *testing.T) {
	var l Launcher
	l.threads.replenish()
	useUpThreads(t)
	l.threads.replenish()
	before := ownThreads(t)
	if before < spareThreads {
		t.Errorf("there are %d", before)
	}
	occupyThreads(spareThreads / 2)
	if after := ownThreads(t); after > before {
		t.Errorf("%d threads became %d", before, after)
	}
}

// There may be none to have.
func TestNoThreadIsMadeAfterAFailure(t *testing.T) {
	var l Launcher
	useUpThreads(t)
	l.threads.failed()
	before := ownThreads(t)
	l.threads.replenish()
	if after := ownThreads(t); after >= spareThreads {
		t.Errorf("%d threads became %d", before, after)
	}
}

// useUpThreads does what as many starts do.
func useUpThreads(t *testing.T) {
	t.Helper()
	for range 2 * spareThreads {
		if err := onOwnThread(func() error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
}

func ownThreads(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}
