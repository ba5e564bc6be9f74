package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
	"cpulb/ipc/client"
	"cpulb/ipc/ipctest"
)

// records decodes the output of map.
func records(t *testing.T, text string) (all []mapRecord) {
	t.Helper()
	for line := range strings.Lines(text) {
		var r mapRecord
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, r)
	}
	return all
}

// summary is the lines and what came of each.
func summary(all []mapRecord) string {
	var parts []string
	for _, r := range all {
		text := fmt.Sprintf("%d %s %s", r.Line, r.Status, r.Data)
		if r.Error != nil {
			text = fmt.Sprintf("%d %s %s", r.Line, r.Status, r.Error.Code)
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

func TestMapWritesAResultForEachLineInTheirOrder(t *testing.T) {
	administrator(t)
	got := cpulb(t.Context(), "{\"a\": [1.50, \"ü漢\\u0000<\"]}\r\n\n  \n[1, 2]\nnull\n12345678901234567890", "map", ipctest.Echo)
	want := `1 completed {"a":[1.50,"ü漢\u0000<"]}, 4 completed [1,2], 5 completed null, 6 completed 12345678901234567890`
	if got.code != 0 || got.err != "" || summary(records(t, got.stdout)) != want {
		t.Errorf("%+v\nwant %s", got, want)
	}
	for _, empty := range []string{"", "\n", "\n \n"} {
		if got := cpulb(t.Context(), empty, "map", ipctest.Echo); got != (outcome{}) {
			t.Errorf("of %q: %+v", empty, got)
		}
	}
}

func TestALineThatDoesNotCompleteIsReportedWithItsNumber(t *testing.T) {
	administrator(t)
	const input = "1\n{oops}\n\n3\n\xff\n\xef\xbb\xbf{}\n7\n"
	got := cpulb(t.Context(), input, "map", ipctest.Echo)
	if got.code != 1 || summary(records(t, got.stdout)) != "1 completed 1" || !strings.Contains(got.err, "line 2: it is not one JSON value") || !strings.Contains(got.err, "--keep-going") {
		t.Errorf("%+v", got)
	}
	got = cpulb(t.Context(), input, "map", ipctest.Echo, "--keep-going")
	const want = "1 completed 1, 2 refused invalid_json, 4 completed 3, 5 refused invalid_json, 6 refused invalid_json, 7 completed 7"
	if got.code != 1 || summary(records(t, got.stdout)) != want {
		t.Errorf("%+v\nwant %s", got, want)
	}
	for _, part := range []string{"line 2:", "line 5:", "line 6: it begins with a byte order mark", "3 lines did not complete"} {
		if !strings.Contains(got.err, part) {
			t.Errorf("%q lacks %q", got.err, part)
		}
	}
	got = cpulb(t.Context(), "1\n2\n", "map", ipctest.Raises)
	if got.code != 1 || got.stdout != "" || !strings.Contains(got.err, "line 1:\n") || !strings.Contains(got.err, "ValueError: too small") {
		t.Errorf("one that raises: %+v", got)
	}
	got = cpulb(t.Context(), "1\n2\n", "map", ipctest.Raises, "--keep-going")
	if got.code != 1 || summary(records(t, got.stdout)) != "1 failed exception, 2 failed exception" || strings.Count(got.err, "\n") != 3 {
		t.Errorf("some that raise: %+v", got)
	}
	got = cpulb(t.Context(), "1\n2\n", "map", ipctest.Missing, "--keep-going")
	if got.code != 1 || summary(records(t, got.stdout)) != "1 refused script_not_found, 2 refused script_not_found" {
		t.Errorf("a script that is not there: %+v", got)
	}
}

func TestMapRefusesWhatMakesNoSense(t *testing.T) {
	administrator(t)
	for _, args := range [][]string{{"--in-flight=0"}, {"--label=cpulb.map=x"}, {"--resume=/nonexistent/file"}, {"--resume=/dev/null"}, {"--env=CPULB_NO_SUCH_VARIABLE"}, {"--timeout=-1s"}} {
		if got := cpulb(t.Context(), "1\n", append([]string{"map", ipctest.Echo}, args...)...); got.code != 2 || got.stdout != "" || got.err == "" {
			t.Errorf("%v: %+v", args, got)
		}
	}
	if got := cpulb(t.Context(), "1\n", "--socket=/nonexistent/s", "map", ipctest.Echo); got.code != 1 || !strings.Contains(got.err, "is cpulbd running?") {
		t.Errorf("without a daemon: %+v", got)
	}
}

// What was in flight is cancelled, and is not taken for a result afterwards.
func TestAnInterruptedMapIsResumedWhereItWas(t *testing.T) {
	engine := administrator(t)
	file := filepath.Join(t.TempDir(), "results")
	ctx, interrupt := context.WithCancel(t.Context())
	ended := make(chan outcome, 1)
	begin := func(ctx context.Context) {
		go func() { ended <- cpulb(ctx, "1\n2\n3\n4\n", "map", ipctest.Held, "--resume", file, "--in-flight=3") }()
	}
	begin(ctx)
	if err := engine.AwaitTasks(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	complete(t, engine, 1)
	if err := engine.AwaitTasks(t.Context(), 4); err != nil { // so that the first result is there
		t.Fatal(err)
	}
	interrupt()
	if got := <-ended; got.code != 1 || !strings.HasPrefix(got.err, "cpulb: cancelling 3 tasks; interrupt again") || !strings.Contains(got.err, "interrupted after line 1; the same command with --resume="+file) {
		t.Fatalf("%+v", got)
	}
	running := api.Filter{Statuses: []task.Status{task.Running}}
	for v := range client.New(os.Getenv("CPULB_SOCKET")).List(t.Context(), running) {
		t.Errorf("%s goes on", v.ID)
	}
	begin(t.Context())
	if err := engine.AwaitTasks(t.Context(), 4+3); err != nil {
		t.Fatal(err)
	}
	complete(t, engine, 3)
	if got := <-ended; got != (outcome{}) {
		t.Fatalf("resumed: %+v", got)
	}
	text, err := os.ReadFile(file)
	if err != nil || summary(records(t, string(text))) != "1 completed 0, 2 completed 0, 3 completed 0, 4 completed 0" {
		t.Errorf("%s %v", text, err)
	}
}

// Whoever killed a map may have cancelled its tasks, too, which then end while it is resumed.
func TestATaskOfTheRunBeforeThatIsStoppedIsNoResult(t *testing.T) {
	engine := administrator(t)
	killed, file := filepath.Join(t.TempDir(), "killed"), filepath.Join(t.TempDir(), "results")
	first, second := make(chan outcome, 1), make(chan outcome, 1)
	begin := func(file string, ended chan<- outcome) {
		go func() {
			ended <- cpulb(t.Context(), "1\n2\n3\n", "map", ipctest.Held, "--resume", file, "--in-flight=2")
		}()
	}
	begin(killed, first)
	if err := engine.AwaitTasks(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	complete(t, engine, 1)
	if err := engine.AwaitTasks(t.Context(), 3); err != nil { // so that the first result is there
		t.Fatal(err)
	}
	text, err := os.ReadFile(killed)
	if err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	begin(file, second)
	running := ids(t, task.Running)
	for _, id := range running {
		if err := engine.AwaitWatchers(t.Context(), id, 2); err != nil {
			t.Fatal(err)
		}
	}
	cpulb(t.Context(), "", "cancel", "--all")
	if got := <-first; got.code != 1 {
		t.Fatalf("%+v", got)
	}
	for i := range running {
		if err := engine.AwaitTasks(t.Context(), 3+i+1); err != nil {
			t.Fatal(err)
		}
		complete(t, engine, 1)
	}
	if got := <-second; got != (outcome{}) {
		t.Errorf("%+v", got)
	}
	if text, err = os.ReadFile(file); err != nil || summary(records(t, string(text))) != "1 completed 0, 2 completed 0, 3 completed 0" {
		t.Errorf("%s %v", text, err)
	}
}

// ids returns those of the tasks in a state.
func ids(t *testing.T, s task.Status) (all []task.ID) {
	t.Helper()
	c := client.New(os.Getenv("CPULB_SOCKET"))
	defer c.Close()
	for v, err := range c.List(t.Context(), api.Filter{Statuses: []task.Status{s}}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v.ID)
	}
	return all
}

// complete ends n tasks that run, the first lines first.
func complete(t *testing.T, engine *ipctest.Engine, n int) {
	t.Helper()
	c := client.New(os.Getenv("CPULB_SOCKET"))
	defer c.Close()
	byLine := map[int]task.ID{}
	for v, err := range c.List(t.Context(), api.Filter{Statuses: []task.Status{task.Running}}) {
		if err != nil {
			t.Fatal(err)
		}
		_, line, _, _ := mapRunOf(v.ID)
		byLine[line] = v.ID
	}
	for line := 1; n > 0; line++ {
		if id, running := byLine[line]; running {
			engine.End(id, task.Result{Status: task.Completed, Data: json.RawMessage("0")})
			n--
		}
	}
}

func TestALineThatFailedWithoutKeepGoingIsTriedAgain(t *testing.T) {
	engine := administrator(t)
	file := filepath.Join(t.TempDir(), "results")
	ended := make(chan outcome, 1)
	begin := func() {
		go func() { ended <- cpulb(t.Context(), "1\n2\n", "map", ipctest.Held, "--resume", file, "--in-flight=1") }()
	}
	begin()
	if err := engine.AwaitTasks(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	complete(t, engine, 1)
	if err := engine.AwaitTasks(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	engine.End(engine.Last().ID, task.Result{Status: task.Failed, Error: &task.Error{Type: "E", Message: "m", Code: "exception"}})
	if got := <-ended; got.code != 1 || !strings.Contains(got.err, "line 2:") || !strings.Contains(got.err, "--resume="+file) {
		t.Fatalf("%+v", got)
	}
	begin()
	if err := engine.AwaitTasks(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	complete(t, engine, 1)
	if got := <-ended; got != (outcome{}) {
		t.Errorf("%+v", got)
	}
}

func TestTheIDOfALinesTaskSaysWhereItIsFrom(t *testing.T) {
	run := newMapRun()
	for _, line := range []int{1, 255, 1 << 20, maxMapLine} {
		for _, try := range []int{0, 1, maxMapTries} {
			id := run.id(line, try, checkOf([]byte("x")))
			if r, l, n, ok := mapRunOf(id); r != run || l != line || n != try || !ok || id.Version() != 8 || id.Variant().String() != "RFC4122" {
				t.Errorf("%s: %v %d %d %v", id, r, l, n, ok)
			}
		}
	}
	if _, _, _, ok := mapRunOf(task.NewID()); ok {
		t.Error("any other id is taken for one")
	}
}

// Such a line would never be run: a resumed map leaves out what has a result.
func TestWhatPassesIsNeverTheResultOfALine(t *testing.T) {
	engine := administrator(t)
	file := filepath.Join(t.TempDir(), "results")
	engine.Refuse(api.ErrDraining)
	got := cpulb(t.Context(), "1\n2\n3\n", "--patience=0s", "map", ipctest.Echo, "--keep-going", "--resume", file)
	text, err := os.ReadFile(file)
	if got.code != 1 || !strings.Contains(got.err, "[draining]; no result was written") || err != nil || len(text) > 0 {
		t.Errorf("%+v, %q %v", got, text, err)
	}
	engine.Refuse(task.ErrQueueFull)
	ended := make(chan outcome, 1)
	go func() {
		ended <- cpulb(t.Context(), "1\n2\n3\n", "--patience=0s", "map", ipctest.Echo, "--keep-going", "--resume", file)
	}()
	if err := engine.AwaitRefused(t.Context(), engine.Refused()+1); err != nil {
		t.Fatal(err)
	}
	engine.Refuse(nil)
	// A wait that has lasted for a while is said.
	if got := <-ended; got.code != 0 || got.stdout != "" || got.err != "" && !strings.HasPrefix(got.err, "cpulb: waiting for room") {
		t.Errorf("%+v", got)
	}
	if text, err = os.ReadFile(file); err != nil || summary(records(t, string(text))) != "1 completed 1, 2 completed 2, 3 completed 3" {
		t.Errorf("%s %v", text, err)
	}
}

// Earlier versions wrote such lines, which were then left out for ever.
func TestAResumedMapRunsLinesAgainThatWereRefusedForNow(t *testing.T) {
	engine := administrator(t)
	const input = "1\n2\n3\n4\n5\n6\n"
	lines := strings.SplitAfter(cpulb(t.Context(), input, "map", ipctest.Echo).stdout, "\n")
	refused := func(line int, code string) string {
		r := records(t, lines[line-1])[0]
		r.Status, r.Data, r.Error = statusRefused, nil, &task.Error{Type: "Refused", Message: "no", Code: code}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		return string(text) + "\n"
	}
	old := lines[0] + refused(2, "queue_full") + lines[2] + refused(4, "script_not_found") + refused(5, "journal_full")
	file := filepath.Join(t.TempDir(), "results")
	if err := os.WriteFile(file, []byte(old+lines[5][:9]), 0o640); err != nil {
		t.Fatal(err)
	}
	resume := func() (outcome, string) {
		got := cpulb(t.Context(), input, "--patience=0s", "map", ipctest.Echo, "--resume", file, "--in-flight=2")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return got, string(text)
	}
	engine.Refuse(api.ErrDraining)
	if got, text := resume(); got.code != 1 || text != old || !strings.Contains(got.err, "2 results in "+file) || !strings.Contains(got.err, "[draining]") {
		t.Errorf("that does not come to its end: %+v\n%s", got, text)
	}
	if err := os.WriteFile(file+mendSuffix, []byte("of one that was killed"), 0o600); err != nil {
		t.Fatal(err)
	}
	engine.Refuse(nil)
	const want = "1 completed 1, 2 completed 2, 3 completed 3, 4 refused script_not_found, 5 completed 5, 6 completed 6"
	if got, text := resume(); got.code != 1 || summary(records(t, text)) != want || !strings.Contains(got.err, "1 lines did not complete") {
		t.Errorf("%+v\n%s", got, text)
	}
	if got, text := resume(); got.code != 1 || summary(records(t, text)) != want || strings.Contains(got.err, "again") {
		t.Errorf("once more: %+v\n%s", got, text)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(file + "*"); len(left) != 1 {
		t.Errorf("left: %q", left)
	}
}
