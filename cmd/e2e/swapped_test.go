package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"cpulb/daemon/task"
	"cpulb/plugins"
)

// The programs that a swap's tests swap are copies of this test's, which know by their names
// what they are.
const (
	swappedPrefix = "swapped-"
	// recordVariable names the file in which each attempt has its line, as it begins.
	recordVariable = "CPULB_TEST_RECORD"

	sound   = swappedPrefix + "sound"
	sound2  = swappedPrefix + "sound-2"
	fails   = swappedPrefix + "fails"   // every fifth task
	slower  = swappedPrefix + "slower"  // all of them
	dies    = swappedPrefix + "dies"    // of its twentieth task
	hangs   = swappedPrefix + "hangs"   // in Configure
	refuses = swappedPrefix + "refuses" // its configuration
)

// servedSwapped serves such a program, if this process is one, and does not return then.
func servedSwapped() {
	self, err := os.Executable()
	if name := filepath.Base(self); err == nil && strings.HasPrefix(name, swappedPrefix) {
		plugins.Serve(&swapped{name: name})
		os.Exit(0)
	}
}

// swapped is an executor whose tasks compute for a while.
type swapped struct {
	name   string
	record *os.File
	ran    atomic.Int64
}

func (*swapped) Describe() plugins.Description {
	return plugins.Description{Name: "swapped", Version: "1"}
}

func (x *swapped) Configure(context.Context, plugins.Configuration) (_ string, err error) {
	switch x.name {
	case hangs:
		select {}
	case refuses:
		return "", errors.New("not with me")
	}
	x.record, err = os.OpenFile(os.Getenv(recordVariable), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	return x.name, err
}

func (x *swapped) OpenSlot(int) (plugins.Slot, error) { return swappedSlot{x}, nil }

func (*swapped) Health(context.Context) (time.Duration, error) { return 0, nil }

type swappedSlot struct{ *swapped }

func (s swappedSlot) Run(t *plugins.Task, _ plugins.Emitter) plugins.Outcome {
	if _, err := fmt.Fprintf(s.record, "%s %s\n", t.ID, s.name); err != nil {
		return failing(err.Error())
	}
	turns := 150_000
	if s.name == slower {
		turns *= 10
	}
	h := fnv.New64a()
	for i := 0; i < turns; i += 8 {
		_, _ = h.Write([]byte("computes")) // it never fails
	}
	n := s.ran.Add(1)
	switch {
	case s.name == dies && n == 20:
		os.Exit(3)
	case s.name == fails && n%5 == 0:
		return failing(fmt.Sprint("every fifth: ", h.Sum64()))
	}
	return plugins.Outcome{Status: task.Completed, Data: t.Params}
}

func failing(why string) plugins.Outcome {
	return plugins.Outcome{Status: task.Failed, Error: &task.Error{Type: "ValueError", Message: why, Code: "exception"}}
}

func (swappedSlot) Cancel(uint64, plugins.StopReason) {}

func (swappedSlot) Close() {}
