package python

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"cpulb/daemon/task"
	"cpulb/plugins"
)

// deepest is how deep params and results may be nested.
const deepest = 1000

// nestingRuns are the ways in which nests.py runs.
func nestingRuns(t *testing.T) map[string]func(params string) plugins.Outcome {
	now, later := script("nests.py"), script("nests_later.py")
	thread, exclusive, loop := openTestSlot(t), openProcess(t, testResultBytes), openTestLoop(t)
	return map[string]func(string) plugins.Outcome{
		"thread":    func(params string) plugins.Outcome { return thread.run(now, params) },
		"exclusive": func(params string) plugins.Outcome { return exclusive.run(now, params) },
		"coroutine": func(params string) plugins.Outcome { return thread.run(later, params) },
		"loop":      func(params string) plugins.Outcome { return <-loop.startFile(0, later, params, 0).ended },
	}
}

func TestWhatNestsAThousandDeepComesAndGoes(t *testing.T) {
	for name, run := range nestingRuns(t) {
		t.Run(name, func(t *testing.T) {
			wantData(t, run(strings.Repeat("[", deepest)+strings.Repeat("]", deepest)), `[999, 1000]`) // the limit is the script's as ever
			for _, wrap := range []string{"list", "tuple", "dict", "number", "box", "text", "half", "enum"} {
				for _, more := range []string{"", `,"limit":5000`, `,"limit":200`} {
					o := run(fmt.Sprintf(`{"wrap":%q,"deep":%d%s}`, wrap, deepest, more))
					if o.Status != task.Completed || nesting(o.Data) != deepest {
						t.Errorf("%s%s: %v %+v, %d deep", wrap, more, o.Status, o.Error, nesting(o.Data))
					}
					o = run(fmt.Sprintf(`{"wrap":%q,"deep":%d%s}`, wrap, deepest+1, more))
					if e := wantError(t, o, task.Failed, "bad_return_value"); !strings.HasPrefix(e.Message, "data is nested deeper than 1000, at data[") {
						t.Errorf("%s%s: %s", wrap, more, e.Message)
					}
				}
			}
			o := run(fmt.Sprintf(`{"wrap":"list","deep":%d,"yields":true}`, deepest-1)) // they are a list
			if o.Status != task.Completed || nesting(o.Data) != deepest {
				t.Errorf("yielded: %v %+v, %d deep", o.Status, o.Error, nesting(o.Data))
			}
			wantError(t, run(fmt.Sprintf(`{"wrap":"list","deep":%d,"yields":true}`, deepest)), task.Failed, "bad_return_value")
			wantError(t, run(fmt.Sprintf(`{"wrap":"dict","deep":%d}`, 100_000)), task.Failed, "bad_return_value")
			wantData(t, run(`[[]]`), `[1, 1000]`)
		})
	}
}

// The recursion limit is the process's: what raises it for one thread lowers it for no other.
func TestThreadsThatNestDeeplyDoNotDisturbEachOther(t *testing.T) {
	var all sync.WaitGroup
	for range 4 {
		s := openTestSlot(t)
		all.Go(func() {
			for range 25 {
				o := <-s.start(s.task(script("nests.py"), fmt.Sprintf(`{"wrap":"box","deep":%d}`, deepest)), newEvents())
				if o.Status != task.Completed {
					t.Errorf("%v %+v", o.Status, o.Error)
				}
			}
		})
	}
	all.Wait()
	s := openTestSlot(t)
	wantData(t, s.run(script("nests.py"), `[]`), `[0, 1000]`)
}

// nesting returns how deep text is nested; strings in it have no brackets.
func nesting(text json.RawMessage) (most int) {
	depth := 0
	for _, c := range text {
		switch c {
		case '[', '{':
			depth++
			most = max(most, depth)
		case ']', '}':
			depth--
		}
	}
	return most
}
