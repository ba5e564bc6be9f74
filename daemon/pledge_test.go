package daemon_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cpulb/daemon/config"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"

	"golang.org/x/sys/unix"
)

// onSmallDisk runs a test on a farm whose journal is on a disk that fill leaves no room
// on; only root can make one.
func onSmallDisk(t *testing.T, c *config.Config, test func(f *daemontest.Farm, fill, clear func())) {
	t.Helper()
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=32m"); err != nil {
		t.Skip("no file system can be mounted here:", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(disk, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	ballast := filepath.Join(disk, "ballast")
	daemontest.KeepingIn(t, c, disk, func(f *daemontest.Farm) {
		test(f, func() { fill(t, ballast) }, func() {
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
			f.Pass(2 * time.Second) // in which the journal tries again
		})
	})
}

// fill takes the room that is left.
func fill(t *testing.T, path string) {
	t.Helper()
	b, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for size := 1 << 20; size > 0; {
		if _, err = b.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
}

// eaters are tasks whose Results take what room a full disk still has, as the journal has
// some in reserve, down to the last bytes.
func eaters(f *daemontest.Farm) {
	f.Helper()
	for _, size := range []int{8 << 10, 300, 1} {
		f.Many(60, fleettest.Echo, daemontest.Params(strings.Repeat("x", size)))
	}
}

// mustFail: else the test would prove nothing.
func mustFail(f *daemontest.Farm) {
	f.Helper()
	if f.Engine.Status(f.Context()).Components["journal"].Health == "healthy" {
		f.Fatal("the journal still finds room")
	}
}

// held is a farm of one slot on a full disk: it is the turn of one that must not run
// twice, and then of another.
func held(f *daemontest.Farm, fill func(), options ...daemontest.Option) (first, waits, other task.ID) {
	f.Helper()
	first = f.Submit(fleettest.Sleeps, daemontest.Params("1m"))
	eaters(f)
	waits = f.Submit(fleettest.Echo, append(options, daemontest.OnceOnly)...)
	other = f.Submit(fleettest.Sleeps, daemontest.Params("1h"))
	fill()
	f.Pass(90 * time.Second)
	mustFail(f)
	return first, waits, other
}

func TestADispatchThatWaitsForTheDiskHoldsUpNobody(t *testing.T) {
	onSmallDisk(t, daemontest.One(1, 1), func(f *daemontest.Farm, fill, clear func()) {
		old := f.Ready("p-0")
		first, waits, other := held(f, fill, daemontest.Within(time.Second))
		if v := f.View(waits); v.Status != task.Queued || v.Worker != nil {
			t.Errorf("what waits for the disk: %+v", v)
		}
		f.Are(task.Running, other)
		f.Pass(10 * time.Minute)
		f.Are(task.Queued, waits) // its timeout has not begun
		clear()
		f.Ends("completed", 1, first, waits, other)
		if f.Ready("p-0") != old {
			t.Error("a sound worker was ended")
		}
		f.Blameless()
	})
}

func TestADispatchThatWaitsForTheDiskCanBeCancelled(t *testing.T) {
	onSmallDisk(t, daemontest.One(1, 1), func(f *daemontest.Farm, fill, clear func()) {
		first, waits, other := held(f, fill)
		if err := f.Cancel(waits); err != nil {
			t.Fatal(err)
		}
		clear()
		f.Ends("cancelled", 0, waits)
		f.Ends("completed", 1, first, other)
	})
}

// Those behind it wait outside of the queue, and none of them is on record as dispatched.
func TestOfManyThatMustNotRunTwiceNoneIsLostToAFullDisk(t *testing.T) {
	onSmallDisk(t, daemontest.One(1, 2), func(f *daemontest.Farm, fill, clear func()) {
		f.Many(2, fleettest.Sleeps, daemontest.Params("1m"))
		eaters(f)
		// Notes are smaller than Results, and may still find room: these take what there is.
		f.Many(2000, fleettest.Echo, daemontest.OnceOnly)
		many := f.Many(20, fleettest.Sleeps, daemontest.Params("1m"), daemontest.OnceOnly)
		cancelled := many[10]
		fill()
		f.Pass(10 * time.Minute)
		mustFail(f)
		f.Are(task.Queued, many...)
		if err := f.Cancel(cancelled); err != nil {
			t.Fatal(err)
		}
		clear()
		f.Crash()
		lost := 0
		for i, id := range many {
			r := f.Result(id)
			switch {
			case r.Error == nil && r.Attempts == 1:
			case r.Error.Code == "daemon_lost":
				lost++
			case i != 10 || r.Error.Code != "cancelled" || r.Attempts != 0:
				t.Errorf("%+v", r)
			}
		}
		if lost > 4 { // those in slots, and those that had given these up
			t.Errorf("%d of 20 were lost with two slots", lost)
		}
	})
}

func TestAStopOnAFullDiskLosesNoDispatch(t *testing.T) {
	onSmallDisk(t, daemontest.One(1, 1), func(f *daemontest.Farm, fill, clear func()) {
		_, waits, other := held(f, fill)
		synctest.Wait()
		go func() { f.Pass(time.Second); clear() }()
		f.Restart()
		f.Ends("completed", 1, waits)
		f.Ends("completed", 2, other)
	})
}
