package python

import (
	"os"
	"path/filepath"
	"testing"

	"cpulb/daemon/task"
)

// The quick look after a task is what keeps a short one short: putting the process back
// takes thirty times as long. Scripts of one folder name it each by a text of its own.
func TestNoScriptOfAFolderIsPutBackForNothing(t *testing.T) {
	const looks = "def main(params, context):\n    import _embedpy\n    return _embedpy.drifted()\n"
	folder := t.TempDir()
	p := openProcess(t, testResultBytes)
	for range 2 {
		for _, name := range []string{"first.py", "second.py", "third.py"} {
			path := filepath.Join(folder, name)
			if err := os.WriteFile(path, []byte(looks), 0o600); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if o := p.run(path, "null"); o.Status != task.Completed || string(o.Data) != "false" {
					t.Errorf("%s: something is taken for changed: %s %s %+v", name, o.Status, o.Data, o.Error)
				}
			}
		}
	}
}
