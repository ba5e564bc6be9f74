package journal

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"cpulb/daemon/task"

	"github.com/hashicorp/go-hclog"
)

// epoch is when the first task of each test was submitted.
var epoch = time.Unix(1_800_000_000, 0)

func open(t testing.TB, dir string, o Options) *Journal {
	t.Helper()
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
	return Accepted{Task: x, Owner: uint32(1000 + n), Submitted: epoch.Add(time.Duration(n)), SubmittedAt: epoch.Add(-time.Duration(n%2) * time.Hour), Pool: "cpu"}
}

// commit appends ops and returns how that ended.
func (j *Journal) commitNow(ops ...Op) error {
	answered := make(chan error, 1)
	j.Append(Synced, func(err error) { answered <- err }, ops...)
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
	return &Ended{Result: r, Cursor: task.Cursor{Attempt: 2, Seq: 7}, Uptime: time.Minute, Order: 3}
}

func TestWhatWasCommittedIsReadAgainInTheOrderOfSubmission(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, Options{})
	first := newTask(1, `,"priority":9,"labels":{"a":"b"},"max_retries":3,"timeout":"1s"`)
	first.Batch = task.NewID()
	second, third := newTask(2, ""), newTask(3, "")
	second.Schedule, second.Uptime = "nightly", time.Hour
	schedules := map[string]Schedule{"nightly": {Until: epoch, Begun: epoch.Add(-time.Minute), Spec: "@daily UTC", Last: second.Task.ID, LastAt: epoch.Add(-time.Hour), Skipped: 2,
		Reason: "no room", RefusedAt: epoch.Add(time.Hour), Missed: []time.Time{epoch},
		Done: []Span{{epoch.Add(-time.Hour), epoch}, {epoch.Add(time.Hour), epoch.Add(2 * time.Hour)}}}, "weekly": {}}
	batch := Batch{ID: first.Batch, Owner: 7, Gone: map[task.Status]int{task.Failed: 2, task.Completed: 1}}
	for _, ops := range [][]Op{
		{{Accepted: &third}, {Accepted: &first}},
		{{Accepted: &second}},
		{{Submitted: first.Submitted, Progress: &Progress{Attempts: 1, Dispatched: true}}},
		{{Submitted: first.Submitted, Progress: &Progress{Attempts: 2, Retries: 1, NotBefore: epoch.Add(time.Hour), Due: 3, Losses: 1, Faults: 2, FaultsRun: 1, Stopping: true, Suspect: true}}},
		{{Submitted: second.Submitted, Progress: &Progress{Attempts: 1}}},
		{{Submitted: second.Submitted, Ended: end(t, &second, `{"big":1.50}`)}},
		{{Submitted: third.Submitted, Forget: true}, {Schedules: schedules}, {Batch: &batch}},
		{{Batch: &Batch{ID: task.NewID()}}},
	} {
		if err := j.commitNow(ops...); err != nil {
			t.Fatal(err)
		}
	}
	closeNow(t, j)
	j = open(t, dir, Options{})
	found := all(t, j)
	ended := end(t, &second, `{"big":1.50}`)
	ended.Start = 1
	want := []Saved{{Accepted: first, Progress: &Progress{Attempts: 2, Retries: 1, NotBefore: epoch.Add(time.Hour), Due: 3, Losses: 1, Faults: 2, FaultsRun: 1, Stopping: true, Suspect: true, Start: 1}},
		{Accepted: second, Ended: ended}}
	if !reflect.DeepEqual(found, want) {
		t.Errorf("got\n%+v\nwant\n%+v", found, want)
	}
	if !reflect.DeepEqual(j.Schedules(), schedules) || !reflect.DeepEqual(j.Batches()[batch.ID], batch) || j.Start() != 2 {
		t.Errorf("schedules %v, batches %v, start %d", j.Schedules(), j.Batches(), j.Start())
	}
}

func TestAnswersComeInTheOrderOfTheCalls(t *testing.T) {
	j := open(t, t.TempDir(), Options{})
	const n = 200
	answers := make(chan int, n)
	for i := range n {
		a := newTask(i, "")
		j.Append(Synced, func(err error) {
			if err != nil {
				t.Error(err)
			}
			answers <- i
		}, Op{Accepted: &a})
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

func TestWhatNobodyWaitsForIsCommittedAllTheSame(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, Options{})
	late := newTask(3, "")
	j.Append(Whenever, nil, Op{Accepted: &late})
	closeNow(t, j)
	if found := all(t, open(t, dir, Options{})); len(found) != 1 {
		t.Errorf("%d tasks are there", len(found))
	}
}

func TestUptimesAreComparableWithinOneBootOfTheMachine(t *testing.T) {
	dir := t.TempDir()
	for i, boot := range []string{"a", "a", "b", "b"} {
		j := open(t, dir, Options{MachineBoot: boot})
		first := uint64(1)
		if boot == "b" {
			first = 3
		}
		for start := uint64(0); start < 6; start++ {
			if got, want := j.Comparable(start), start >= first && start <= j.Start(); got != want {
				t.Errorf("at start %d: those of start %d are comparable: %v", i+1, start, got)
			}
		}
		closeNow(t, j)
	}
}

func TestOnlyAJournalThatWasClosedIsClean(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, Options{})
	if j.Clean() {
		t.Error("a new one is")
	}
	closeNow(t, j)
	j = open(t, dir, Options{})
	if !j.Clean() {
		t.Error("one that was closed is not")
	}
	closeNow(t, j)
	killAfter(t, dir, 5)
	if open(t, dir, Options{}).Clean() {
		t.Error("one whose daemon was killed is")
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
	if _, err := Open(dir, Options{Log: hclog.NewNullLogger()}); !errors.Is(err, ErrInUse) {
		t.Error(err)
	}
}

// testdata/format1.db.gz was made by a daemon of that format.
func TestAJournalOfFormat1IsTakenOver(t *testing.T) {
	dir := t.TempDir()
	unpack(t, "testdata/format1.db.gz", filepath.Join(dir, boltName))
	j := open(t, dir, Options{})
	found := all(t, j)
	if len(found) != 2 {
		t.Fatalf("%d tasks", len(found))
	}
	first, second := found[0], found[1]
	if p := first.Progress; first.Owner != 1001 || first.Pool != "cpu" || first.Start != 1 || first.Batch != (task.ID{1, 2, 3}) ||
		first.Task.ID.String() != "01890a5d-ac96-774b-bcce-b302099a8001" || first.Task.Priority != 9 || !first.Submitted.Equal(epoch.Add(1)) ||
		p == nil || p.Attempts != 2 || p.Retries != 1 || !p.NotBefore.Equal(epoch.Add(time.Hour)) || !p.Stopping || first.Ended != nil {
		t.Errorf("%+v, %+v", first, p)
	}
	if e := second.Ended; e == nil || string(e.Result.Data) != `{"big":1.50}` || e.Result.Stdout != "out" || e.Cursor != (task.Cursor{Attempt: 2, Seq: 7}) {
		t.Errorf("%+v", second)
	}
	if s := j.Schedules(); len(s) != 1 || !s["nightly"].Until.Equal(epoch) || j.Start() != 2 || j.Clean() {
		t.Errorf("%v, start %d, clean %v", s, j.Start(), j.Clean())
	}
}

func unpack(t *testing.T, from, to string) {
	t.Helper()
	f, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(text)
	if err == nil {
		err = os.WriteFile(to, all, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// testdata/format3.segment.gz was made by a daemon of that format.
func TestALogOfFormat3IsReadAndGoesOn(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, logFolder), 0o700))
	unpack(t, "testdata/format3.segment.gz", filepath.Join(dir, logFolder, segmentName(1)))
	for range 2 { // as it was, and as it was written on
		j := open(t, dir, Options{})
		found := all(t, j)
		if len(found) != 2 || found[0].Progress == nil || found[0].Progress.Attempts != 2 {
			t.Fatalf("%+v", found)
		}
		e := found[1].Ended
		if e == nil || e.Result.Stdout != "out" || e.Result.Stderr != "err\x01" || *e.Result.Error != (task.Error{Type: "T", Message: "m", Traceback: "t", Code: "exception"}) ||
			e.Order != 5 || len(found[1].Events) != 3 {
			t.Errorf("%+v", found[1])
		}
		b := j.Batches()[task.ID{4}]
		if b.Owner != 7 || len(b.Joined) != 1 || b.Gone[task.Completed] < 3 {
			t.Errorf("%+v", b)
		}
		must(t, j.commitNow(Op{Gone: &Gone{ID: task.ID{4}, Owner: 7, Counts: map[task.Status]int{task.Completed: 4}}},
			Op{Submitted: epoch.Add(3), Tombstone: &Tombstone{ID: task.ID{9}, Until: epoch}}, Op{Submitted: epoch.Add(3), Forget: true}))
		closeNow(t, j)
	}
	j := open(t, dir, Options{})
	if b := j.Batches()[task.ID{4}]; len(b.Joined) != 1 || b.Gone[task.Completed] != 4 {
		t.Errorf("%+v", b)
	}
}

func TestATombstoneStandsForItsTaskUntilItIsForgotten(t *testing.T) {
	dir := t.TempDir()
	o := Options{segmentBytes: 2 << 10}
	j := open(t, dir, o)
	a := newTask(1, "")
	must(t, j.commitNow(Op{Accepted: &a}, Op{Submitted: a.Submitted, Events: someEvents(1, 9)}, Op{Submitted: a.Submitted, Ended: end(t, &a, `[1]`)}))
	g := &Tombstone{ID: a.Task.ID, Owner: a.Owner, Key: "once", At: epoch, Until: epoch.Add(time.Hour), Uptime: 5}
	must(t, j.commitNow(Op{Submitted: a.Submitted, Tombstone: g}))
	for i := range 100 { // so that it is copied
		x := newTask(2+i, "")
		must(t, j.commitNow(Op{Accepted: &x}))
		must(t, j.commitNow(Op{Submitted: x.Submitted, Forget: true}))
	}
	closeNow(t, j)
	j = open(t, dir, o)
	if found := all(t, j); len(found) != 1 || found[0].Task != nil || found[0].Ended != nil || found[0].Events != nil || !reflect.DeepEqual(found[0].Tombstone, g) {
		t.Errorf("%+v", found)
	}
	must(t, j.commitNow(Op{Submitted: a.Submitted, Forget: true}))
	closeNow(t, j)
	if found := all(t, open(t, dir, o)); len(found) != 0 {
		t.Errorf("%+v", found)
	}
}
