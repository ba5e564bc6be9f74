package plugins

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"cpulb/plugins/proto"

	"golang.org/x/sys/unix"
)

// bothEnds returns a table as the daemon and as the worker have it, and a descriptor of it.
func bothEnds(t testing.TB) (daemon *sharedClaims, worker *claims, fd int) {
	t.Helper()
	daemon, fd, err := newSharedClaims(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	tables, err := openSharedClaims(fd, 1)
	if err != nil {
		t.Fatal(err)
	}
	return daemon, &tables[0], fd
}

func TestBothEndsSeeOneDecision(t *testing.T) {
	daemon, worker, _ := bothEnds(t)
	want := func(seq uint64, fate Fate) {
		t.Helper()
		if got := daemon.fate(0, seq); got != fate {
			t.Errorf("seq %d: fate %v, want %v", seq, got, fate)
		}
	}
	want(1, FateOpen)
	worker.claim(1)
	want(1, FateClaimed)
	if claim := daemon.recall(0, 1); claim != Claimed {
		t.Errorf("a claimed task was recalled: %v", claim)
	}
	worker.done(1)
	want(1, FateDone)
	if claim := daemon.recall(0, 1); claim != Claimed {
		t.Errorf("a task that is done was recalled: %v", claim)
	}
	if claim := daemon.recall(0, 2); claim != Recalled {
		t.Errorf("an open task was not recalled: %v", claim)
	}
	want(2, FateRecalled)
	if worker.claim(2) {
		t.Error("a recalled task was claimed")
	}
	worker.done(2) // without having claimed it
	want(2, FateRecalled)
	worker.claim(1 + Window)
	want(1, FateDone)
	want(2+Window, FateOpen)
}

// The model is a map: whoever decides on a seq first, has decided.
func TestATableAnswersAsAModelDoes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	daemon, worker, _ := bothEnds(t)
	model := map[uint64]Fate{}
	lowest := uint64(1) // of those that are outstanding
	for range 200_000 {
		seq := lowest + random.Uint64N(Window)
		switch before := model[seq]; random.IntN(5) {
		case 0:
			if got := worker.claim(seq); got != (before == FateOpen) {
				t.Fatalf("claim of %d, %v: %v", seq, before, got)
			}
			if before == FateOpen {
				model[seq] = FateClaimed
			}
		case 1, 2:
			recall := func(seq uint64) Claim { return daemon.recall(0, seq) }
			if random.IntN(2) == 0 {
				recall = func(seq uint64) Claim { c, _ := worker.recall(seq); return c }
			}
			want := Claimed
			if before == FateOpen || before == FateRecalled {
				want, model[seq] = Recalled, FateRecalled
			}
			if got := recall(seq); got != want {
				t.Fatalf("recall of %d, %v: %v", seq, before, got)
			}
		case 3:
			if worker.done(seq); before == FateClaimed {
				model[seq] = FateDone
			}
		case 4:
			for lowest < seq && model[lowest] != FateOpen {
				lowest++
			}
		}
		if got := daemon.fate(0, seq); got != model[seq] {
			t.Fatalf("fate of %d: %v, want %v", seq, got, model[seq])
		}
	}
}

func FuzzWhateverIsInTheTableThereIsAnAnswer(f *testing.F) {
	f.Add(uint64(0), uint64(1))
	f.Add(^uint64(0), uint64(1))
	f.Add(uint64(1)<<placeBits|placeState, uint64(1))
	f.Fuzz(func(t *testing.T, word, seq uint64) {
		var c claims
		c[seq%Window].Store(word)
		fate := c.fate(seq)
		claim, won := c.recall(seq)
		if fate < FateOpen || fate > FateDone || claim != Claimed && claim != Recalled {
			t.Fatalf("fate %v, claim %v", fate, claim)
		}
		if recalled := fate == FateOpen || fate == FateRecalled; recalled != (claim == Recalled) && seq<<placeBits>>placeBits == seq {
			t.Errorf("of %x seq %d: fate %v, but claim %v", word, seq, fate, claim)
		}
		if again, wonAgain := c.recall(seq); wonAgain && won && seq<<placeBits>>placeBits == seq {
			t.Errorf("won twice, %v", again)
		}
		c.done(seq)
		c.fate(seq)
	})
}

// A worker that writes without end holds nobody up.
func TestAWorkerThatScribblesIsAnsweredAllTheSame(t *testing.T) {
	daemon, worker, _ := bothEnds(t)
	stop := make(chan struct{})
	var scribblers sync.WaitGroup
	for s := range uint64(2) {
		scribblers.Go(func() {
			for n := s; ; n += 2 {
				select {
				case <-stop:
					return
				default:
					worker[7].Store(n % (7 << placeBits)) // always of a lower seq than 7
				}
			}
		})
	}
	for range 100_000 {
		if claim := daemon.recall(0, 7); claim != Claimed && claim != Recalled {
			t.Fatal(claim)
		}
		daemon.fate(0, 7)
	}
	close(stop)
	scribblers.Wait()
}

func TestAWorkerCannotTakeTheTableAway(t *testing.T) {
	daemon, worker, fd := bothEnds(t)
	worker.claim(1)
	for _, size := range []int64{0, 1, 1 << 20} {
		if err := unix.Ftruncate(fd, size); !errors.Is(err, unix.EPERM) {
			t.Errorf("truncated to %d: %v", size, err)
		}
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_FUTURE_WRITE); !errors.Is(err, unix.EPERM) {
		t.Errorf("another seal: %v", err)
	}
	// What is punched out reads as nothing, and can be written again.
	if err := unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, int64(os.Getpagesize())); err != nil {
		t.Fatal(err)
	}
	if fate, claim := daemon.fate(0, 1), daemon.recall(0, 1); fate != FateOpen || claim != Recalled {
		t.Errorf("%v %v", fate, claim)
	}
}

func TestATableOfAnotherSizeIsRefused(t *testing.T) {
	fd, err := unix.MemfdCreate("small", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if _, err := openSharedClaims(fd, 1); !errors.Is(err, errNoTable) {
		t.Error(err)
	}
}

// The table comes with the first byte of the Hello; the bytes of the Task that follows stay.
func TestAHelloBringsATableAndNothingElseIsRead(t *testing.T) {
	for _, shares := range []bool{true, false} {
		path := filepath.Join(t.TempDir(), "s")
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		dial := func(ctx context.Context, path string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}
		o := opening{dial, path, shares, &Configuration{}}
		c, err := o.conn(t.Context(), 3, 1, false, &reader{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.Send(&Task{Seq: 1, Params: []byte("1")}, &Task{Seq: 2, Params: []byte("22")}); err != nil {
			t.Fatal(err)
		}
		conn, err := l.AcceptUnix()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		before := openDescriptors(t)
		hello, tables, err := readHello(conn, func(uint32) int { return 1 })
		if err != nil || hello.Slot != 3 || (tables != nil) != shares || c.Shares() != shares {
			t.Fatalf("%v %v %v", hello, tables, err)
		}
		if now := openDescriptors(t); now != before {
			t.Errorf("%d descriptors, %d before", now, before)
		}
		_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
		frames := newFrameReader(conn, 10)
		for seq := uint64(1); seq <= 2; seq++ {
			var m proto.Task
			if err := frames.next(&m); err != nil || m.Seq != seq {
				t.Fatalf("%v %v", &m, err)
			}
			if params, err := frames.payload(m.PayloadLength); err != nil || len(params) != int(seq) {
				t.Fatalf("%q %v", params, err)
			}
		}
		if !shares {
			continue
		}
		table := &tables[0]
		if table.claim(1); c.Fate(3, 1) != FateClaimed || c.Recall(3, 2) != Recalled || table.claim(2) {
			t.Error("the two ends have two tables")
		}
	}
}

// openDescriptors is how many descriptors the process has.
func openDescriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}
