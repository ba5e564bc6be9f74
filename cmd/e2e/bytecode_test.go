package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// plant compiles other source as the cache of a module.
const plant = `import importlib.util, marshal, os, sys
path = sys.argv[1]
seen = os.stat(path)
cache = importlib.util.cache_from_source(path)
os.makedirs(os.path.dirname(cache), exist_ok=True)
with open(cache, "wb") as file:
    file.write(importlib.util.MAGIC_NUMBER + bytes(4) + int(seen.st_mtime).to_bytes(4, "little") + seen.st_size.to_bytes(4, "little"))
    file.write(marshal.dumps(compile("WHO = 'planted'", path, "exec")))
`

// What is planted is executed where nobody else may write, as it is by python3: so the
// test would notice.
func TestBytecodeThatOthersMayHavePlantedIsNotExecuted(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to give folders away")
	}
	dir := venv(t)
	packages, err := filepath.Glob(filepath.Join(dir, "lib/python3*/site-packages"))
	if err != nil || len(packages) != 1 {
		t.Fatalf("%v %v", packages, err)
	}
	want := map[string]any{}
	for name, c := range map[string]struct {
		folder, cache os.FileMode
		owner         int
		who           string
	}{
		"sound":           {0o755, 0o755, 0, "planted"},
		"open_cache":      {0o755, 0o777, 0, "source"},
		"sticky_cache":    {0o755, 0o777 | os.ModeSticky, 0, "source"},
		"open_folder":     {0o777, 0o755, 0, "source"},
		"foreign_cache":   {0o755, 0o755, 4321, "source"},
		"group_of_others": {0o755, 0o775, 0, "source"},
	} {
		folder := filepath.Join(packages[0], name)
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		path := write(t, filepath.Join(folder, "__init__.py"), "WHO = 'source'\n")
		if out, err := exec.Command("/usr/bin/python3", "-c", plant, path).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		cache := filepath.Join(folder, "__pycache__")
		if err := os.Chown(cache, c.owner, 4321); err != nil {
			t.Fatal(err)
		}
		for path, mode := range map[string]os.FileMode{folder: c.folder, cache: c.cache} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
		want[name] = c.who
	}
	d := start(t, strings.Replace(oneSlot, "workers = 1", fmt.Sprintf("workers = 1\n  venv = %q", dir), 1))
	text := "import importlib\ndef main(params, context):\n    return {name: importlib.import_module(name).WHO for name in params}\n"
	r := d.result(d.post(write(t, filepath.Join(t.TempDir(), "x.py"), text),
		`["sound","open_cache","sticky_cache","open_folder","foreign_cache","group_of_others"]`, ""))
	if fmt.Sprint(r["data"]) != fmt.Sprint(want) {
		t.Errorf("%v\nwant %v", r, want)
	}
}
