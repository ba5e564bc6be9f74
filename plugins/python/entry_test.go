package python

import (
	"testing"

	"cpulb/daemon/task"
)

func TestATaskCallsWhatItsScriptDefinesAndNothingThatItImports(t *testing.T) {
	everywhere(t, func(t *testing.T, s runner) {
		path := script("names_what_it_has.py")
		for function, want := range map[string]string{
			"given": `"given"`, "decorated": `"decorated"`, "called": `"called"`, "method": `"called"`, "short": `"short"`, "partial": `"given"`,
		} {
			if o := s.runFunction(path, function, "null"); o.Status != task.Completed || string(o.Data) != want {
				t.Errorf("%s: %s %+v", function, o.Data, o.Error)
			}
		}
		if o := s.runFunction(path, "listed", "null"); o.Error == nil || o.Error.Type != "TypeError" || o.Error.Code != "exception" {
			t.Errorf("randrange(None, context) was not called: %s %+v", o.Data, o.Error)
		}
		for _, function := range []string{"system", "shell", "own", "getoutput", "Popen", "randint", "Pool", "workers", "functools", "NAME",
			"__getattribute__", "__setattr__", "__getattr__", "__class__", "__import__", "__builtins__", "nothing", "given.__call__"} {
			if o := s.runFunction(path, function, `"echo called"`); o.Error == nil || o.Error.Code != "no_entry_point" {
				t.Errorf("%s: %s %+v", function, o.Data, o.Error)
			}
		}
	})
}

func TestOnlyAListOfNamesExportsThem(t *testing.T) {
	everywhere(t, func(t *testing.T, s runner) {
		for _, all := range []string{`__all__ = "my_system_x"`, `__all__ = 1`, "def __getattr__(name):\n    return 1", `__all__ = {"system"}`} {
			o := s.runFunction(written(t, "from os import system\n"+all+"\n"), "system", `"true"`)
			if o.Error == nil || o.Error.Code != "no_entry_point" || o.Fault != 0 {
				t.Errorf("%s: %s %+v", all, o.Data, o.Error)
			}
		}
	})
}
