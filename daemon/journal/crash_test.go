package journal

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"cpulb/daemon/journal/journaltest"

	"github.com/hashicorp/go-hclog"
)

const crashFolder = "CPULB_TEST_CRASH_FOLDER"

// TestMain is, in a child process, one that appends until it is killed, and says
// which changes have been answered.
func TestMain(m *testing.M) {
	if dir := os.Getenv(crashFolder); dir != "" {
		appendForEver(dir)
	}
	os.Exit(m.Run())
}

func appendForEver(dir string) {
	j, err := Open(dir, Options{Log: hclog.NewNullLogger()})
	if err != nil {
		panic(err)
	}

	for i := int(j.Start()) * 1_000_000; ; i++ {
		a := newTask(i, "")
		answered := func(err error) {
			if err == nil {
				os.Stdout.WriteString(strconv.Itoa(i) + "\n")
			}
		}
		if i%64 == 0 { // now and then wait for what is under way
			wait := make(chan struct{})
			j.Append(Synced, func(err error) { answered(err); close(wait) }, Op{Accepted: &a})
			<-wait
			continue
		}
		j.Append(Synced, answered, Op{Accepted: &a})
	}
}

func TestWhatWasAnsweredSurvivesBeingKilled(t *testing.T) {
	dir := journaltest.Folder(t) // a process is killed, and no machine loses its power
	known := map[int64]bool{}
	rounds := 20
	if testing.Short() {
		rounds = 5
	}
	for round := range rounds {
		for _, n := range killAfter(t, dir, 50+round*37) {
			known[epoch.UnixNano()+int64(n)] = true
		}
		j := open(t, dir, Options{})
		found := map[int64]bool{}
		for _, s := range all(t, j) {
			found[s.Submitted.UnixNano()] = true
		}
		for n := range known {
			if !found[n] {
				t.Fatalf("round %d: task %d was answered and is gone", round, n-epoch.UnixNano())
			}
		}
		closeNow(t, j)
	}
	t.Logf("%d tasks answered in %d rounds", len(known), rounds)
}

// killAfter has a child append, kills it once so many answers have come, and
// returns all that came.
func killAfter(t *testing.T, dir string, answers int) []int {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), crashFolder+"="+dir)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var got []int
	for lines := bufio.NewReader(out); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // what is cut off was not answered, as far as anybody knows
		}
		n, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			t.Fatal(fmt.Errorf("the child says %q", line))
		}
		if got = append(got, n); len(got) == answers {
			_ = child.Process.Kill() // it is ours, and runs for ever
		}
	}
	_ = child.Wait() // killed
	return got
}
