package python

import (
	"path/filepath"
	"testing"

	"cpulb/daemon/task"
)

// inEachKind is everywhere, and in a process of the task's own.
func inEachKind(t *testing.T, test func(t *testing.T, s runner)) {
	everywhere(t, test)
	t.Run("process", func(t *testing.T) { test(t, openApart(t, nil)) })
}

func TestATaskCallsWhatItsScriptDefinesAndNothingThatItImports(t *testing.T) {
	inEachKind(t, func(t *testing.T, s runner) {
		path := script("names_what_it_has.py")
		for function, want := range map[string]string{
			"given": `"given"`, "decorated": `"decorated"`, "called": `"called"`, "method": `"called"`, "short": `"short"`, "partial": `"given"`,
			"cached": `"cached"`,
		} {
			if o := s.runFunction(path, function, "null"); o.Status != task.Completed || string(o.Data) != want {
				t.Errorf("%s: %s %+v", function, o.Data, o.Error)
			}
		}
		if o := s.runFunction(path, "Made", "null"); o.Error == nil || o.Error.Code != "bad_return_value" {
			t.Errorf("Made(None, context) was not called: %s %+v", o.Data, o.Error)
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
	inEachKind(t, func(t *testing.T, s runner) {
		for _, all := range []string{`__all__ = "my_system_x"`, `__all__ = 1`, "def __getattr__(name):\n    return 1", `__all__ = {"system"}`} {
			o := s.runFunction(written(t, "from os import system\n"+all+"\n"), "system", `"true"`)
			if o.Error == nil || o.Error.Code != "no_entry_point" || o.Fault != 0 {
				t.Errorf("%s: %s %+v", all, o.Data, o.Error)
			}
		}
	})
}

// What a script has imported stays imported, also when it has hidden from where.
func TestAModuleThatIsRemovedKeepsItsFunctions(t *testing.T) {
	inEachKind(t, func(t *testing.T, s runner) {
		dir := t.TempDir()
		writeFile(t, filepath.Join(dir, "helper_removed.py"), `import functools
def function(params, context=None):
    return "called"
class Class:
    def __init__(self, params, context=None):
        pass
    def __call__(self, params, context=None):
        return "called"
instance = Class(None)
method = instance.__call__
partial = functools.partial(function)
`)
		path := filepath.Join(dir, "removes_it.py")
		writeFile(t, path, `import sys
from helper_removed import *
for name in [name for name in sys.modules if name.endswith("helper_removed")]:
    del sys.modules[name]
def main(params, context):
    return function(params)
`)
		wantData(t, s.run(path, "null"), `"called"`)
		for _, function := range []string{"function", "Class", "instance", "method", "partial"} {
			if o := s.runFunction(path, function, "null"); o.Error == nil || o.Error.Code != "no_entry_point" {
				t.Errorf("%s: %s %+v", function, o.Data, o.Error)
			}
		}
	})
}

// Nothing of the script's runs to find out what a name is.
func TestLookingForAFunctionRunsNoCodeOfTheScript(t *testing.T) {
	inEachKind(t, func(t *testing.T, s runner) {
		path := written(t, `import sys
looked = []
class Meta(type):
    __module__ = property(lambda self: looked.append("class"))
class Class(metaclass=Meta):
    pass
class Alike(str):
    __hash__ = str.__hash__
    def __eq__(self, other):
        looked.append("name")
        return True
class Lying:
    __module__ = property(lambda self: looked.append("instance"))
    def __getattr__(self, name):
        looked.append(name)
    def __call__(self, params, context):
        return "called"
lying = Lying()
from os import system
__all__ = [Alike("listed")]
def main(params, context):
    return looked
`)
		if o := s.runFunction(path, "system", `"true"`); o.Error == nil || o.Error.Code != "no_entry_point" {
			t.Errorf("system: %s %+v", o.Data, o.Error)
		}
		wantData(t, s.run(path, "null"), "[]")
		wantData(t, s.runFunction(path, "lying", "null"), `"called"`)
		other := written(t, `import sys
class Everything:
    def __getattr__(self, name):
        return lambda params, context: name
    def defined(self, params, context):
        return "defined"
sys.modules[__name__] = Everything()
`)
		wantData(t, s.runFunction(other, "defined", "null"), `"defined"`)
		if o := s.runFunction(other, "anything", "null"); o.Error == nil || o.Error.Code != "no_entry_point" {
			t.Errorf("anything: %s %+v", o.Data, o.Error)
		}
	})
}
