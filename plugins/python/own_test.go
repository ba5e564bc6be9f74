package python

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"cpulb/daemon/task"
)

// One script changes many things at once, in a worker where nothing else runs.
func TestNothingThatATaskChangesIsLeftToTheNext(t *testing.T) {
	s, other := openTestSlot(t), openTestSlot(t)
	name := script("changes_what_is_shared.py")
	var first, changed, after, elsewhere map[string]any
	read := func(o []byte, to ...any) {
		t.Helper()
		var all []json.RawMessage
		if len(to) == 1 {
			all = []json.RawMessage{o}
		} else if err := json.Unmarshal(o, &all); err != nil {
			t.Fatalf("%s: %v", o, err)
		}
		for i := range to {
			if err := json.Unmarshal(all[i], to[i]); err != nil {
				t.Fatal(err)
			}
		}
	}
	o := s.run(name, `"change"`)
	if o.Status != task.Completed || o.Stdout != "" {
		t.Fatalf("%+v stdout %q", o.Error, o.Stdout)
	}
	read(o.Data, &first, &changed)
	read(s.run(name, `"look"`).Data, &after)
	read(other.run(name, `"look"`).Data, &elsewhere)
	for key, was := range first {
		if key != "folder" && reflect.DeepEqual(was, changed[key]) {
			t.Errorf("%s was not changed: %v", key, was)
		}
	}
	if !reflect.DeepEqual(first, after) || !reflect.DeepEqual(first, elsewhere) {
		t.Errorf("before:\n%v\nthe next task:\n%v\na task elsewhere:\n%v", first, after, elsewhere)
	}
	if changed["child"] != "changed\n" || first["folder"] != "while loading" {
		t.Errorf("%v\n%v", first, changed)
	}
}

func TestWhatATaskCantDoInAThreadedProcessIsRefused(t *testing.T) {
	s := openTestSlot(t)
	for name, message := range map[string]string{
		"handles_a_signal.py": "main thread",
		"forks.py":            `isolation = "process"`,
	} {
		if e := wantError(t, s.run(script(name), `null`), task.Failed, "exception"); !strings.Contains(e.Message, message) {
			t.Errorf("%s: %s", name, e.Message)
		}
	}
}

func TestARedirectionEndsWithItsTask(t *testing.T) {
	everywhere(t, func(t *testing.T, s runner) {
		for range 3 {
			if o := s.run(script("redirects_its_output.py"), `null`); string(o.Data) != `"caught\n"` || o.Stdout != "shown\n" {
				t.Errorf("data %s stdout %q %+v", o.Data, o.Stdout, o.Error)
			}
		}
	})
}

func TestTheLocaleAndTheTimeZoneAreATasksToChange(t *testing.T) {
	everywhere(t, func(t *testing.T, s runner) {
		for _, name := range []string{"sets_the_locale.py", "sets_the_time_zone.py", "puts_into_the_environment.py"} {
			for range 2 {
				if o := s.run(script(name), `null`); o.Status != task.Completed || string(o.Data) != "true" {
					t.Errorf("%s: %s %+v", name, o.Data, o.Error)
				}
			}
		}
	})
}

func TestAPlainScriptRunsAsPythonWouldRunIt(t *testing.T) {
	everywhere(t, runsPlainScripts)
}

func runsPlainScripts(t *testing.T, s runner) {
	plain := func(name, params string) (data, stdout, stderr, failure string) {
		o := s.runFunction(script(name), "__main__", params)
		if o.Error != nil {
			failure = o.Error.Code + ": " + o.Error.Message
		}
		return string(o.Data), o.Stdout, o.Stderr, failure
	}
	raised := "Traceback (most recent call last):\n  File \"" + script("plain_script_raises.py") + "\", line 2, in <module>\n" +
		"    raise ValueError(\"at the top\")\nValueError: at the top\n"
	for _, c := range []struct{ script, params, data, stdout, stderr, failure string }{
		{"plain_script.py", `{}`, `{"exit_code":0}`, "[] a sibling __main__ True\n", "", ""},
		{"plain_script.py", `["0", 1.5]`, `{"exit_code":0}`, "['0', '1.5'] a sibling __main__ True\n", "", ""},
		{"plain_script.py", `{"argv": ["3"]}`, "", "['3'] a sibling __main__ True\n", "", "exit: the script ended with exit code 3"},
		{"plain_script.py", `["no way"]`, "", "['no way'] a sibling __main__ True\n", "no way\n", "exit: the script ended with exit code 1"},
		{"plain_script_raises.py", `null`, "", "before\n", raised, "exit: the script ended with exit code 1"},
		{"parses_its_arguments.py", `["--count", "21"]`, `{"exit_code":0}`, "42\n", "", ""},
		{"plain_script.py", `"x"`, "", "", "", "bad_params: params of a plain script are a list of strings and numbers, " +
			`its arguments, or an object with such a list as "argv"`},
	} {
		data, stdout, stderr, failure := plain(c.script, c.params)
		if data != c.data || stdout != c.stdout || stderr != c.stderr || failure != c.failure {
			t.Errorf("%s %s: data %s stdout %q stderr %q %s", c.script, c.params, data, stdout, stderr, failure)
		}
	}
	if _, _, stderr, failure := plain("parses_its_arguments.py", `["--what"]`); failure != "exit: the script ended with exit code 2" || !strings.Contains(stderr, "usage:") {
		t.Errorf("%s %q", failure, stderr)
	}
}

func TestAThreadThatOutlivesItsTaskHarmsNobody(t *testing.T) {
	s := openTestSlot(t)
	name := script("leaves_a_thread_behind.py")
	wantData(t, s.run(name, `null`), "null")
	o := s.run(name, `"go on"`)
	wantData(t, o, `"went on"`)
	if o.Stdout != "" {
		t.Errorf("its output went to another task: %q", o.Stdout)
	}
}

func TestAChildCanBeAnInterpreterOfItsOwn(t *testing.T) {
	s := openTestSlot(t)
	wantData(t, s.run(script("uses_multiprocessing.py"), `[-1, 2, -3]`), "[1, 2, 3]")
	wantData(t, s.run(script("starts_a_process_of_its_own_function.py"), `[1, 2, 3]`), "[1, 4, 9]")
}
