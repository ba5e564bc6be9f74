package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/task"

	"github.com/hashicorp/go-hclog"
	"go.etcd.io/bbolt"
)

// epoch is when the first task of each test was submitted.
var epoch = time.Unix(1_800_000_000, 0)

func open(t testing.TB, dir string, o Options) *Journal {
	t.Helper()
	if o.Sync == "" {
		o.Sync = Group
	}
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	j, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeNow(t, j) })
	return j
}

func closeNow(t testing.TB, j *Journal) {
	t.Helper()
	if err := j.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// newTask is the nth task: an op that accepts it, and what is to be read again.
func newTask(n int, more string) Accepted {
	x, err := task.Decode(fmt.Appendf(nil, `{"script_path":"/x.py","params":{"n":%d}%s}`, n, more))
	if err != nil {
		panic(err) // no text of ours is wrong
	}
	return Accepted{Task: x, Owner: uint32(1000 + n), Submitted: epoch.Add(time.Duration(n)), Pool: "cpu"}
}

// commit appends ops and returns how that ended.
func (j *Journal) commitNow(ops ...Op) error {
	answered := make(chan error, 1)
	j.Append(func(err error) { answered <- err }, true, ops...)
	return <-answered
}

func all(t testing.TB, j *Journal) []Saved {
	t.Helper()
	var found []Saved
	for s, err := range j.Recover() {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, s)
	}
	return found
}

func end(t testing.TB, a *Accepted, data string) *Ended {
	t.Helper()
	r := &task.Result{ID: a.Task.ID, Status: task.Completed, Stdout: "out", Attempts: 2, Data: json.RawMessage(data),
		SubmittedAt: a.Submitted.UTC(), FinishedAt: a.Submitted.Add(time.Second).UTC()}
	return &Ended{Result: r, Cursor: task.Cursor{Attempt: 2, Seq: 7}}
}

func TestWhatWasCommittedIsReadAgainInTheOrderOfSubmission(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, Options{})
	first := newTask(1, `,"priority":9,"labels":{"a":"b"},"max_retries":3,"timeout":"1s"`)
	first.Batch = task.NewID()
	second, third := newTask(2, ""), newTask(3, "")
	for _, ops := range [][]Op{
		{{Accepted: &third}, {Accepted: &first}},
		{{Accepted: &second}},
		{{Submitted: first.Submitted, Progress: &Progress{Attempts: 1, Dispatched: true}}},
		{{Submitted: first.Submitted, Progress: &Progress{Attempts: 2, Retries: 1, NotBefore: epoch.Add(time.Hour).UTC(), Stopping: true}}},
		{{Submitted: second.Submitted, Progress: &Progress{Attempts: 1}}},
		{{Submitted: second.Submitted, Ended: end(t, &second, `{"big":1.50}`)}},
		{{Submitted: third.Submitted, Forget: true}, {Schedules: map[string]time.Time{"nightly": epoch.UTC()}}},
	} {
		if err := j.commitNow(ops...); err != nil {
			t.Fatal(err)
		}
	}
	closeNow(t, j)
	j = open(t, dir, Options{})
	found := all(t, j)
	want := []Saved{{Accepted: first, Progress: &Progress{Attempts: 2, Retries: 1, NotBefore: epoch.Add(time.Hour).UTC(), Stopping: true}},
		{Accepted: second, Ended: end(t, &second, `{"big":1.50}`)}}
	if !reflect.DeepEqual(found, want) {
		t.Errorf("got\n%+v\nwant\n%+v", found, want)
	}
	if s := j.Schedules(); len(s) != 1 || !s["nightly"].Equal(epoch) || j.Boot() != 2 {
		t.Errorf("schedules %v, boot %d", s, j.Boot())
	}
}

func TestAnswersComeInTheOrderOfTheCalls(t *testing.T) {
	j := open(t, t.TempDir(), Options{})
	const n = 200
	answers := make(chan int, n)
	for i := range n {
		a := newTask(i, "")
		j.Append(func(err error) {
			if err != nil {
				t.Error(err)
			}
			answers <- i
		}, false, Op{Accepted: &a})
	}
	for i := range n {
		if got := <-answers; got != i {
			t.Fatalf("answer %d came in the place of %d", got, i)
		}
	}
	if s := j.Stats(); s.Commits >= n {
		t.Errorf("%d commits for %d changes: nobody shared one", s.Commits, n)
	}
}

func TestWithAnIntervalOnlyWhoAsksForItWaits(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, Options{Sync: Interval, Interval: time.Hour})
	soon, now := newTask(1, ""), newTask(2, "")
	told := false
	j.Append(func(err error) { told = err == nil }, false, Op{Accepted: &soon})
	if !told {
		t.Error("the answer did not come at once")
	}
	if err := j.commitNow(Op{Accepted: &now}); err != nil { // would take an hour, if it waited
		t.Fatal(err)
	}
	late := newTask(3, "")
	j.Append(nil, false, Op{Accepted: &late})
	closeNow(t, j)
	if found := all(t, open(t, dir, Options{})); len(found) != 3 {
		t.Errorf("%d tasks are there", len(found))
	}
}

func TestAfterCloseNothingIsTaken(t *testing.T) {
	j := open(t, t.TempDir(), Options{})
	closeNow(t, j)
	a := newTask(1, "")
	if err := j.commitNow(Op{Accepted: &a}); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

func TestAJournalInUseIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, Options{})
	if _, err := Open(dir, Options{Sync: Group, Log: hclog.NewNullLogger()}); !errors.Is(err, ErrInUse) {
		t.Error(err)
	}
}

func TestFolderAndFileAreTheOwnersAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	open(t, dir, Options{})
	for path, want := range map[string]os.FileMode{dir: os.ModeDir | 0o700, filepath.Join(dir, fileName): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

// damage makes a journal with tasks and has f change its file.
func damage(t *testing.T, f func(path string)) (dir string, before []byte) {
	t.Helper()
	dir = t.TempDir()
	j := open(t, dir, Options{})
	for i := range 500 {
		a := newTask(i, "")
		j.Append(nil, false, Op{Accepted: &a})
	}
	closeNow(t, j)
	path := filepath.Join(dir, fileName)
	f(path)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return dir, before
}

func TestWhatCanNotBeReadIsNamedAndNotTouched(t *testing.T) {
	write := func(text string) func(string) {
		return func(path string) {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	about := func(key, value string) func(string) {
		return func(path string) {
			db, err := bbolt.Open(path, 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			err = db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte(bucketAbout)).Put([]byte(key), []byte(value)) })
			if err := errors.Join(err, db.Close()); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, x := range map[string]struct {
		change func(string)
		want   error
	}{
		"a text":             {write(strings.Repeat("dear diary ", 10_000)), ErrForeign},
		"an empty file":      {write(""), ErrForeign},
		"another database":   {foreignDatabase(t), ErrForeign},
		"a later format":     {about(keyFormat, "2"), ErrNewer},
		"no format":          {about(keyFormat, "blue"), ErrForeign},
		"its end is missing": {func(path string) { shorten(t, path) }, ErrCorrupt},
	} {
		dir, before := damage(t, x.change)
		_, err := Open(dir, Options{Sync: Group, Log: hclog.NewNullLogger()})
		if !errors.Is(err, x.want) || !strings.Contains(err.Error(), fileName) {
			t.Errorf("%s: %v", name, err)
		}
		after, err := os.ReadFile(filepath.Join(dir, fileName))
		if err != nil || !reflect.DeepEqual(before, after) {
			t.Errorf("%s: the file was changed: %v", name, err)
		}
	}
}

func foreignDatabase(t *testing.T) func(string) {
	return func(path string) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		db, err := bbolt.Open(path, 0o600, nil)
		if err == nil {
			err = db.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func shorten(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err == nil {
		// bbolt's file is longer than what it uses: cut well into that.
		err = os.Truncate(path, min(info.Size()/2, 32<<10))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestAnOlderFormatIsBroughtUpToDateStepByStep(t *testing.T) {
	dir, _ := damage(t, func(string) {})
	db, err := bbolt.Open(filepath.Join(dir, fileName), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(func(tx *bbolt.Tx) error {
		about := tx.Bucket([]byte(bucketAbout))
		if err := about.Put([]byte(keyFormat), []byte("-1")); err != nil {
			return err
		}
		var steps []int
		step := func(n int) func(*bbolt.Tx) error {
			return func(*bbolt.Tx) error { steps = append(steps, n); return nil }
		}
		if err := upgrade(tx, about, map[int]func(*bbolt.Tx) error{-1: step(-1), 0: step(0)}); err != nil {
			return err
		}
		if !reflect.DeepEqual(steps, []int{-1, 0}) {
			t.Errorf("steps from -1 to %d: %v", format, steps)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
