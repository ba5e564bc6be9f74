package python

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheRuntimeIsCompiledAtTheBuildOrByTheWorker(t *testing.T) {
	folder := t.TempDir()
	if err := errors.Join(os.CopyFS(filepath.Join(folder, "runtime"), os.DirFS("runtime")), os.Mkdir(filepath.Join(folder, "compiled"), 0o700)); err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile("compiled/compile.py")
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "compiled/compile.py"), program, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("/usr/bin/python3", filepath.Join(folder, "compiled/compile.py")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, name := range append(runtimeModules(), loopModule) {
		source, err := runtimeFiles.ReadFile("runtime/" + name + ".py")
		if err != nil {
			t.Fatal(err)
		}
		compiled, err := os.ReadFile(filepath.Join(folder, "compiled", name+".code"))
		if err != nil {
			t.Fatal(err)
		}
		if code := codeOf(source, compiled); !strings.Contains(string(code), "<cpulb>/"+name+".py") {
			t.Errorf("%s: the code does not name its file", name)
		}
		if codeOf(append(source, '\n'), compiled) != nil || codeOf(source, nil) != nil {
			t.Errorf("%s: the code of another text is taken for it", name)
		}
	}
}
