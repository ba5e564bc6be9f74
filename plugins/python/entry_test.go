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
