package executors_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cpulb/daemon/task"
	"cpulb/plugins"
	"cpulb/plugins/executortest"
)

// What is a language's own: each line is a script, and what its task gives.
type ends struct {
	script string
	status task.Status
	// data, or of an error its code and a part of its message.
	data, code, says string
}

// sayings runs scripts one after the other in one slot.
func (e example) sayings(t *testing.T, extension string, lines []ends) {
	t.Helper()
	up := executortest.NewRecorder()
	w := e.start(t, 1, executortest.Each(func(int) executortest.SlotHandler { return up }))
	path := filepath.Join(t.TempDir(), "script"+extension) // always the same: it changes
	for i, line := range lines {
		if err := os.WriteFile(path, []byte(line.script), 0o600); err != nil {
			t.Fatal(err)
		}
		seq := uint64(i + 1)
		if err := w.Slot(0).Send(&plugins.Task{Seq: seq, ID: "t", ScriptPath: path, Function: "main", Type: "io_bound", Attempt: 1, Params: []byte("[1,2]")}); err != nil {
			t.Fatal(err)
		}
		if line.status == task.Cancelled {
			begun := "started" // which is before the script's first line
			if strings.Contains(line.script, ".progress(") {
				begun = "progress"
			}
			up.Wait(t, begun, seq)
			if _, err := w.Cancel(t.Context(), 0, seq, plugins.StopCancelled); err != nil {
				t.Fatal(err)
			}
		}
		o := up.Wait(t, "ended", seq).Outcome
		if o.Error == nil {
			o.Error = &task.Error{}
		}
		if o.Status != line.status || string(o.Data) != line.data || o.Error.Code != line.code || !strings.Contains(o.Error.Message+o.Error.Traceback+o.Stdout+o.Stderr, line.says) {
			t.Errorf("%s\n%s %s %+v %q %q", line.script, o.Status, o.Data, o.Error, o.Stdout, o.Stderr)
		}
	}
}

func TestCellsOfThePythonExample(t *testing.T) {
	t.Parallel()
	python(t).sayings(t, ".py", []ends{
		{"params + [context.attempt]", task.Completed, "[1,2,1]", "", ""},
		{"print('seen')\nx = 1", task.Completed, "null", "", "seen\n"},
		{"def main(params):\n    return sum(params)\n", task.Completed, "3", "", ""},
		{"float('nan')", task.Failed, "", "bad_return_value", "JSON can't hold"},
		{"{1}", task.Failed, "", "bad_return_value", "set"},
		{"1 +", task.Failed, "", "script_syntax", "line 1"},
		{"import sys\nsys.exit(3)", task.Failed, "", "exit", "3"},
		{"x = 1\nx / 0", task.Failed, "", "exception", "line 2"},
		{"while True:\n    pass", task.Cancelled, "", "cancelled", ""},
		{"import time\ntry:\n    context.progress(0)\n    while True:\n        time.sleep(0.001)\nfinally:\n    print('cleaned up')", task.Cancelled, "", "cancelled", "cleaned up\n"},
		{"'still here'", task.Completed, `"still here"`, "", ""},
	})
}

func TestScriptsOfTheNodeExample(t *testing.T) {
	t.Parallel()
	e := node(t)
	e.settings = map[string]string{"terminate_after": "10m0s"} // they stop by themselves
	e.sayings(t, ".js", []ends{
		{"exports.main = ([a, b], context) => a + b + context.attempt", task.Completed, "4", "", ""},
		{"module.exports = async (params) => { console.error('seen'); await null; return params }", task.Completed, "[1,2]", "", "seen\n"},
		{"exports.main = () => {}", task.Completed, "null", "", ""},
		{"exports.main = async function* () { yield 1; yield 2 }", task.Completed, "[1,2]", "", ""},
		{"exports.main = () => ({ a: NaN })", task.Failed, "", "bad_return_value", "a is NaN"},
		{"exports.main = () => 1n", task.Failed, "", "bad_return_value", "BigInt"},
		{"exports.main = (", task.Failed, "", "script_syntax", "script.js:1"},
		{"exports.other = () => 1", task.Failed, "", "no_entry_point", "main"},
		{"exports.main = () => { throw new TypeError('why') }", task.Failed, "", "exception", "script.js:1:"},
		{"exports.main = () => new Promise(() => setTimeout(() => { throw new Error('later') }))", task.Failed, "", "exception", "later"},
		{"exports.main = () => new Promise(() => { Promise.reject(new Error('nobody waits')) })", task.Failed, "", "exception", "nobody waits"},
		{"exports.main = () => { throw Object.defineProperty(new Error(), 'stack', { get() { throw 1 } }) }", task.Failed, "", "exception", "can't be read"},
		{"exports.main = () => { throw new Proxy({}, { get() { throw 1 } }) }", task.Failed, "", "exception", ""},
		{"exports.main = () => { console.log('before'); process.exit(3) }", task.Failed, "", "exit", "before\n"},
		{"exports.main = (params, context) => { while (!context.cancelled); return 1 }", task.Cancelled, "", "cancelled", "noticed"},
		{"exports.main = (params, { signal }) => require('node:timers/promises').setTimeout(1e6, 0, { signal })", task.Cancelled, "", "cancelled", "aborted"},
		{"exports.main = () => { console.log('x'.repeat(3 << 20)); console.log('y'.repeat(3 << 20)); return 1 }", task.Completed, "1", "", "xxx"},
		{"exports.main = () => 'still here'", task.Completed, `"still here"`, "", ""},
	})
}

func TestAThreadThatDoesNotStopIsMadeAnewInTheNodeExample(t *testing.T) {
	t.Parallel()
	node(t).sayings(t, ".js", []ends{
		{"exports.main = () => { for (;;); }", task.Cancelled, "", "cancelled", "the thread was ended"},
		{"exports.main = () => 'still here'", task.Completed, `"still here"`, "", ""},
	})
}

func TestModulesOfTheNodeExample(t *testing.T) {
	t.Parallel()
	node(t).sayings(t, ".mjs", []ends{
		{"export const main = ([a, b]) => a + b", task.Completed, "3", "", ""},
		{"import os from 'node:os'\nexport default { main: () => typeof os.cpus }", task.Completed, `"function"`, "", ""},
		{"export const main = (", task.Failed, "", "script_syntax", "script.mjs"},
	})
}

func TestAHeapThatIsTooSmallFailsTheTaskOfTheNodeExample(t *testing.T) {
	t.Parallel()
	e := node(t)
	e.settings = map[string]string{"heap": "16777216", "terminate_after": "1m0s"}
	e.sayings(t, ".js", []ends{
		{"exports.main = () => { const all = []; for (;;) all.push({}) }", task.Failed, "", "exception", "memory limit"},
		{"exports.main = () => 'still here'", task.Completed, `"still here"`, "", ""},
	})
}

func TestBadSettingsOfTheNodeExampleAreRefused(t *testing.T) {
	t.Parallel()
	e := node(t)
	for says, settings := range map[string]map[string]string{
		"heap: 1 is not a number of bytes of at least 8MiB": {"heap": "1"},
		"terminate_after: soon is not a duration":           {"terminate_after": "soon"},
		"settings: stack is unknown":                        {"stack": "1"},
	} {
		e.settings = settings
		if err := e.refused(t); !errors.Is(err, plugins.ErrBadSetting) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v: %v", settings, err)
		}
	}
}
