// Package adversary_test has a user try to take the service of a real daemon from
// others, in every way that is known. Each attack runs in a process of its own, as a user
// of its own, while another user has tasks run and root looks after the daemon; the test
// measures how these fare and what the daemon takes.
//
// Times are reported, and held to bounds that a slow machine keeps, too: beyond them
// somebody would take the daemon for hung. How many times longer a round trip takes than
// without the attack is for whoever reads the table.
package adversary_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"

	built "cpulb/internal/programs"
)

// Who is who. None of them needs an account.
const (
	mallory  = 12001 // may submit, and does everything else
	victim   = 12002 // may submit
	stranger = 12003 // may connect, but not submit
)

// attackVariable names the attack to a copy of this program that runs it, socketVariable
// the daemon's socket, folderVariable the folder of the scripts.
const (
	attackVariable = "CPULB_ATTACK"
	socketVariable = "CPULB_ATTACK_SOCKET"
	folderVariable = "CPULB_ATTACK_FOLDER"
)

// attack is one way to take the service from others.
type attack struct {
	name string
	uid  int // 0: mallory
	run  func(f *foe)
	// deaths: workers die of it, which is their own affair.
	deaths bool
}

func attacks() []attack {
	return slices.Concat(doorAttacks(), bodyAttacks(), readerAttacks(), queueAttacks(), blockAttacks(), scriptAttacks())
}

// programs returns a folder with the programs, one for all tests of the package.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "cpulb-programs")
	if err != nil {
		return "", err
	}
	return dir, built.Into(dir, "cpulbd", "cpulb-python")
})

func TestMain(m *testing.M) {
	if name := os.Getenv(attackVariable); name != "" {
		attackAs(name)
		os.Exit(0)
	}
	flag.Parse()
	code := m.Run()
	if dir, _ := programs(); dir != "" {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// attackAs runs an attack until the other end of stdin is closed.
func attackAs(name string) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	for _, a := range attacks() {
		if a.name == name {
			a.run(&foe{ctx: ctx, socket: os.Getenv(socketVariable), folder: os.Getenv(folderVariable)})
			<-ctx.Done() // what it holds, it goes on to hold
			return
		}
	}
	fmt.Fprintln(os.Stderr, "no such attack:", name)
	os.Exit(2)
}

// begin starts a's process and returns what ends it.
func (d *daemon) begin(a attack) (end func()) {
	d.t.Helper()
	uid := a.uid
	if uid == 0 {
		uid = mallory
	}
	// By this name it can be executed wherever it is.
	c := exec.CommandContext(d.t.Context(), "/proc/self/exe")
	c.Dir, c.Stderr = "/", os.Stderr
	c.Env = []string{attackVariable + "=" + a.name, socketVariable + "=" + d.socket, folderVariable + "=" + d.folder,
		"GOMEMLIMIT=1GiB", "GOMAXPROCS=" + strconv.Itoa(2)}
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}, Pdeathsig: syscall.SIGKILL}
	in, err := c.StdinPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		d.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	return sync.OnceFunc(func() {
		select {
		case err := <-ended:
			d.t.Errorf("the attack ended by itself: %v", err)
			return
		default:
		}
		in.Close()
		_ = c.Process.Kill() // whatever it is busy with
		<-ended
	})
}
