package python

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"cpulb/daemon/task"
	"cpulb/plugins"
)

// asked is what a task of TestWhatComesUpTogether is to do, see answers_in_every_size.py.
type asked struct {
	Name   string   `json:"name"`
	Events []string `json:"events"`
	Prints bool     `json:"prints"`
	Keeps  int      `json:"keeps"`
	Size   int      `json:"size"`
}

// Results and events leave a worker together, whatever their sizes: each task's are whole and
// in their order, whatever comes before them and after, and the tasks' as they were sent.
func TestWhatComesUpTogetherIsWholeAndInOrder(t *testing.T) {
	w := startCrewWorker(t, "exclusive")
	defer w.close()
	random := rand.New(rand.NewPCG(1, 2))
	sizes := []int{-1, 0, 1, 40_000, 65_533, 65_534, 65_535, 65_536, 131_070, 131_071, 150_000} // a string has two quotes
	rounds := 20
	if testing.Short() {
		rounds = 5
	}
	for range rounds {
		var all []asked
		for i := range plugins.Window {
			a := asked{Name: fmt.Sprint("task ", i), Events: []string{}, Prints: random.IntN(3) == 0}
			if random.IntN(3) > 0 {
				a.Size = sizes[random.IntN(len(sizes))]
			}
			if random.IntN(20) == 0 {
				a.Keeps = 1_000_000
			}
			for range random.IntN(8) - 4 {
				a.Events = append(a.Events, []string{"progress", "log", "partial"}[random.IntN(3)])
			}
			all = append(all, a)
		}
		for i, got := range w.together(t, all) {
			if want := all[i].events(); !slices.Equal(got, want) {
				t.Fatalf("%+v: %.300q, want %.300q", all[i], got, want)
			}
		}
	}
}

// A result leaves while the task after it keeps the interpreter's lock, for as long as it likes.
func TestAResultLeavesThoughTheNextTaskKeepsTheLock(t *testing.T) {
	for _, kind := range []string{"exclusive", "shared"} {
		t.Run(kind, func(t *testing.T) {
			w := startCrewWorker(t, kind)
			defer w.close()
			gate := filepath.Join(t.TempDir(), "gate")
			if err := syscall.Mkfifo(gate, 0o600); err != nil {
				t.Fatal(err)
			}
			file, err := os.OpenFile(gate, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			path := script("keeps_the_lock.py")
			for range 5 {
				k := &crewTask{ended: make(chan plugins.Outcome, 4), begun: make(chan struct{}), path: path}
				s := w.seats[0]
				var tasks []*plugins.Task
				for _, params := range []string{"null", "null", "null", fmt.Sprintf("%q", gate)} {
					s.seq++
					s.mu.Lock()
					s.tasks[s.seq] = k
					s.mu.Unlock()
					tasks = append(tasks, &plugins.Task{Seq: s.seq, ID: "task", ScriptPath: path, Function: "main", Type: task.CPUBound, Attempt: 1, Params: []byte(params)})
				}
				if err := w.Slot(0).Send(tasks...); err != nil {
					t.Fatal(err)
				}
				for range len(tasks) - 1 {
					if r := w.outcome(t, k); !r.Completed {
						t.Fatal(r)
					}
				}
				if _, err := file.Write([]byte{1}); err != nil {
					t.Fatal(err)
				}
				if r := w.outcome(t, k); !r.Completed {
					t.Fatal(r)
				}
			}
		})
	}
}

// together has the worker run them all, sent at once, and returns what each has sent up.
func (w *crewWorker) together(t *testing.T, all []asked) [][]string {
	t.Helper()
	s, up := w.seats[0], make(chan *plugins.Event, 1024)
	defer s.listen(nil)
	s.listen(func(ev *plugins.Event) {
		copied := *ev
		copied.Outcome.Data = slices.Clone(ev.Outcome.Data)
		copied.Value = slices.Clone(ev.Value)
		up <- &copied
	})
	first := s.seq + 1
	for i, a := range all {
		params, _ := json.Marshal(a)
		s.seq++
		k := &plugins.Task{Seq: s.seq, ID: a.Name, ScriptPath: script("answers_in_every_size.py"), Function: "main", Type: task.CPUBound, Attempt: 1, Params: params}
		if err := w.Slot(0).Send(k); err != nil {
			t.Fatal(i, err)
		}
	}
	got := make([][]string, len(all))
	for ended := 0; ended < len(all); {
		select {
		case ev := <-up:
			i := int(ev.Seq - first)
			if i != ended {
				t.Fatalf("an event of task %d comes before the end of task %d", i, ended)
			}
			if text := eventText(ev); text != "" {
				got[i] = append(got[i], text)
			}
			if ev.Kind == plugins.EventEnded {
				ended++
			}
		case <-time.After(hangs):
			t.Fatalf("%d of %d ended", ended, len(all))
		}
	}
	return got
}

func eventText(ev *plugins.Event) string {
	switch o := ev.Outcome; ev.Kind {
	case plugins.EventProgress:
		return "progress " + ev.Message
	case plugins.EventLog:
		return "log " + ev.Message
	case plugins.EventPartial:
		return "partial " + string(ev.Value)
	case plugins.EventEnded:
		failure := ""
		if o.Error != nil {
			failure = o.Error.Message
		}
		return fmt.Sprintf("ended %s %q %q %q", o.Data, o.Stdout, o.Stderr, failure)
	}
	return ""
}

// events are what the task is to send.
func (a asked) events() []string {
	var all []string
	for _, kind := range a.Events {
		switch kind {
		case "partial":
			all = append(all, fmt.Sprintf("partial %q", strings.Repeat(a.Name, 1000)))
		default:
			all = append(all, kind+" "+a.Name)
		}
	}
	out, err, data, failure := "", "", "", ""
	if a.Prints {
		out, err = a.Name+"\n", a.Name
	}
	if a.Size < 0 {
		failure = a.Name
	} else {
		data = fmt.Sprintf("%q", strings.Repeat("x", a.Size))
	}
	return append(all, fmt.Sprintf("ended %s %q %q %q", data, out, err, failure))
}
