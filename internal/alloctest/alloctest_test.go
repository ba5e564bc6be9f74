package alloctest_test

import (
	"testing"

	"cpulb/internal/alloctest"
)

var sink []byte

// fake records whether it has failed.
type fake struct {
	testing.TB
	failed bool
}

func (f *fake) Helper()               {}
func (f *fake) Fatalf(string, ...any) { f.failed = true }

func TestWhatAllocatesMoreThanItMayFails(t *testing.T) {
	for _, c := range []struct {
		most  int
		fails bool
	}{{1 << 20, true}, {4 << 20, false}} {
		f := &fake{TB: t}
		alloctest.Within(f, c.most, func() { sink = make([]byte, 2<<20) })
		if f.failed != c.fails {
			t.Errorf("2 MiB of %d allowed: failed is %v", c.most, f.failed)
		}
	}
}
