package journal

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// smallDisk is a file system of some megabytes; only root can make one.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Skip("no file system can be mounted here:", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill takes the room that is left, but for the last bytes.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 64 << 10; size > 0; size /= 16 { // to the last byte
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, unix.ENOSPC) {
			t.Fatal(err)
		}
	}
}

func TestOnAFullDiskNewTasksAreRefusedAndAllElseWaitsForRoom(t *testing.T) {
	disk := smallDisk(t)
	dir, ballast := filepath.Join(disk, "journal"), filepath.Join(disk, "ballast")
	j := open(t, dir, Options{})
	before := newTask(1, "")
	if err := j.commitNow(Op{Accepted: &before}); err != nil {
		t.Fatal(err)
	}
	fill(t, ballast)
	big := newTask(2, "")
	big.Task.Params = append(append([]byte{'"'}, bytes.Repeat([]byte("x"), 1<<20)...), '"')
	if err := j.commitNow(Op{Accepted: &big}); !errors.Is(err, ErrFull) || !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("a task for which there is no room: %v", err)
	}
	small := newTask(3, "")
	small.Task.Params = append(append([]byte{'"'}, bytes.Repeat([]byte("x"), 8<<10)...), '"') // more than is left in a page
	if err := j.commitNow(Op{Accepted: &small}); !errors.Is(err, ErrFull) {
		t.Fatalf("a small task for which there is room only in what was set aside: %v", err)
	}
	data := `"` + strings.Repeat("y", 1<<20) + `"`
	committed := make(chan error, 1)
	j.Append(Synced, func(err error) { committed <- err }, Op{Submitted: before.Submitted, Ended: end(t, &before, data)})
	s := j.Stats()
	for until := time.Now().Add(time.Minute); (s.Waiting == 0 || s.Failing == nil) && time.Now().Before(until); { // it is tried again and again, in vain
		s = j.Stats()
	}
	if s.Failing == nil {
		t.Errorf("%+v", s)
	}
	select {
	case err := <-committed:
		t.Fatalf("a result was answered without room for it: %v", err)
	default:
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := <-committed; err != nil { // by itself
		t.Fatal(err)
	}
	if err := j.commitNow(Op{Accepted: &big}); err != nil {
		t.Fatalf("a task when there is room again: %v", err)
	}
	closeNow(t, j)
	found := all(t, open(t, dir, Options{}))
	if len(found) != 2 || found[0].Ended == nil || string(found[0].Ended.Result.Data) != data || found[1].Task.ID != big.Task.ID {
		t.Errorf("found %d tasks", len(found))
	}
}

// With little room what waits is written piece by piece, and each task keeps its order.
func TestWithLittleRoomWhatFitsIsWritten(t *testing.T) {
	d := newMemory()
	j := openMemory(t, d, "boot")
	const n = 20
	var tasks [n]Accepted
	for i := range tasks {
		tasks[i] = newTask(i, "")
		must(t, j.commitNow(Op{Accepted: &tasks[i]}))
	}
	d.setRoom(0)
	if err := j.commitNow(Op{Accepted: new(newTask(n, ""))}); !errors.Is(err, ErrFull) {
		t.Fatal(err)
	}
	answered := make(chan int, 2*n)
	for i := range tasks {
		j.Append(Synced, func(error) { answered <- i }, Op{Submitted: tasks[i].Submitted, Ended: end(t, &tasks[i], `"`+strings.Repeat("y", 1000*(n-i))+`"`)})
	}
	if s := j.Stats(); s.Waiting != n || s.WaitingBytes < 1000*n*n/2 || s.Failing == nil {
		t.Errorf("%+v", s)
	}
	d.setRoom(9000)
	if i := <-answered; i <= n/2 {
		t.Errorf("the end of task %d was written into %d bytes", i, 9000)
	}
	first := n - 1
	j.Append(Written, nil, Op{Submitted: tasks[first].Submitted, Forget: true}, Op{Submitted: tasks[0].Submitted, Forget: true}) // which waits for the end of 0
	d.setRoom(-1)
	for range n - 1 {
		<-answered
	}
	closeNow(t, j)
	j = openMemory(t, d, "boot")
	found := all(t, j)
	if len(found) != n-2 {
		t.Errorf("%d tasks", len(found))
	}
	for _, s := range found {
		if s.Ended == nil {
			t.Errorf("%s has not ended", s.Task.ID)
		}
	}
	closeNow(t, j)
}

func (m *memory) setRoom(n int64) {
	defer m.locked()()
	m.room = n
}

func (m *memory) setFailSync(fail bool) {
	defer m.locked()()
	m.failSync = fail
}

// A new task that was written, but not synced, is refused; then nothing is kept of it.
func TestARefusedTaskIsForgotten(t *testing.T) {
	d := newMemory()
	j := openMemory(t, d, "boot")
	must(t, j.commitNow(Op{Accepted: new(newTask(0, ""))}))
	d.setFailSync(true)
	if err := j.commitNow(Op{Accepted: new(newTask(1, ""))}); !errors.Is(err, ErrFull) {
		t.Fatal(err)
	}
	d.setFailSync(false)
	must(t, j.writeNow(Op{Schedules: map[string]Schedule{}}))
	closeNow(t, j)
	if n := j.log.index.tasks.Len(); n != 1 {
		t.Errorf("the index has %d tasks", n)
	}
}
