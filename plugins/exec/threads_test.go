package exec

import (
	"os"
	"testing"
)

// Not parallel to others, which open descriptors, too.
func TestThreadsToHaveLeaveNoDescriptor(t *testing.T) {
	open := func() int {
		t.Helper()
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	before := open()
	for range 3 {
		haveThreads(2)
	}
	if after := open(); after != before {
		t.Errorf("%d descriptors are open, there were %d", after, before)
	}
}
