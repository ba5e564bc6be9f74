package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// pools are the kinds of pool that load scripts in different ways.
func pools() map[string]string {
	return map[string]string{"threads": "threads = 4", "exclusive": "threads = 1", "process": "threads = 2\n  isolation = \"process\""}
}

const onePool = `
executor "python" { command = "cpulb-python" }
pool "one" {
  executor   = "python"
  task_types = ["cpu_bound"]
  workers    = 1
  pin        = false
  %s
}
%s
`

// looks imports what params names, here and in children, and says whose it was.
const looks = `import importlib, multiprocessing, os, sys
from concurrent.futures import ProcessPoolExecutor

def look(name):
    try:
        return getattr(importlib.import_module(name), "WHO", "extension")
    except ModuleNotFoundError:
        return "not found"
    except BaseException as error:
        return "refused"

def look_in_child(method, names):
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
        return list(pool.map(look, names, timeout=120))

def main(params, context):
    sys.path += params["path"]
    os.chdir(params["folder"])
    names, found = params["names"], {}
    for method in ("spawn", "forkserver"):
        multiprocessing.set_forkserver_preload([*names, "script"])
        found[method] = look_in_child(method, names)
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
            found["grandchild of " + method] = pool.submit(look_in_child, "spawn", names).result(120)
    found["worker"] = [look(name) for name in names]
    return found
`

func TestWhatAChildOfMultiprocessingLoadsIsBeneathTheFolders(t *testing.T) {
	t.Parallel()
	for kind, pool := range pools() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			inside, outside := filepath.Join(dir, "inside"), filepath.Join(dir, "outside")
			for _, folder := range []string{inside, outside} {
				if err := os.Mkdir(folder, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			mark := filepath.Join(dir, "mark")
			text := func(who string) string {
				return fmt.Sprintf("import os\nif %q == 'outside':\n    open(%q, 'w').close()\nWHO = %q\n", who, mark, who)
			}
			path := write(t, filepath.Join(inside, "script.py"), looks)
			plantCache(t, write(t, filepath.Join(inside, "beside.py"), text("source")))
			evil := write(t, filepath.Join(outside, "evil.py"), text("outside"))
			write(t, filepath.Join(outside, "pickle.py"), text("outside"))
			link(t, evil, filepath.Join(inside, "linked.py"))
			if err := os.Link(write(t, filepath.Join(dir, "elsewhere.py"), text("hard link")), filepath.Join(inside, "hard.py")); err != nil {
				t.Fatal(err)
			}
			zip(t, filepath.Join(outside, "a.zip"), "zipped_outside.py", text("outside"))
			zip(t, filepath.Join(inside, "b.zip"), "zipped_inside.py", text("outside"))
			extension(t, filepath.Join(inside, "compiled"), false)
			extension(t, filepath.Join(inside, "compiled_link"), true)
			d := start(t, fmt.Sprintf(onePool, pool, fmt.Sprintf("access {\n  script_dirs = [%q]\n}", inside)))
			params := map[string]any{"folder": outside, "path": []string{outside, filepath.Join(outside, "a.zip"), filepath.Join(inside, "b.zip")},
				"names": []string{"beside", "linked", "evil", "hard", "zipped_outside", "zipped_inside",
					"compiled._lsprof", "compiled_link._lsprof"}}
			want := []any{"source", "refused", "refused", "hard link", "not found", "not found", "extension", "refused"}
			wantEverywhere(t, d, path, params, want)
			if _, err := os.Stat(mark); err == nil {
				t.Error("something of outside has been executed")
			}
		})
	}
}

// A plain script is as it is under python3, also where only some files may be loaded; those are its own and those beside it.
func TestAPlainScriptLoadsWhatIsBeneathTheFolders(t *testing.T) {
	t.Parallel()
	for kind, pool := range pools() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			inside, outside := filepath.Join(dir, "inside"), filepath.Join(dir, "outside")
			for _, folder := range []string{inside, outside} {
				if err := os.Mkdir(folder, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			plantCache(t, write(t, filepath.Join(inside, "beside.py"), "WHO = 'source'\n"))
			evil := write(t, filepath.Join(outside, "evil.py"), "WHO = 'outside'\n")
			link(t, evil, filepath.Join(inside, "linked.py"))
			path := write(t, filepath.Join(inside, "plain.py"), `import multiprocessing, os, sys
def look(name):
    try:
        return __import__(name).WHO
    except Exception:
        return "refused"
if __name__ == "__main__":
    names = ["beside", "linked"]
    print(sys.argv[1:], os.path.basename(__file__), os.path.basename(sys.path[0]), sys.modules["__main__"].look is look, "code" in globals(), [look(name) for name in names])
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(look, names), flush=True)
    if sys.argv[1:] == ["fails"]:
        raise ValueError("as it should")
    sys.exit(len(sys.argv) - 1)
`)
			d := start(t, fmt.Sprintf(onePool, pool, fmt.Sprintf("access {\n  script_dirs = [%q]\n}", inside)))
			const output = "%s plain.py inside True False ['source', 'refused']\n['source', 'refused']\n"
			for params, want := range map[string]struct {
				argv, stderr string
				code         any
			}{
				`[]`:         {"[]", "", nil},
				`["a", "b"]`: {"['a', 'b']", "", 2.0},
				`["fails"]`: {"['fails']", fmt.Sprintf("Traceback (most recent call last):\n  File \"%s\", line 13, in <module>\n"+
					"    raise ValueError(\"as it should\")\nValueError: as it should\n", path), 1.0},
			} {
				r := d.result(d.post(path, params, `,"function":"__main__"`))
				problem, _ := r["error"].(map[string]any)
				if r["stdout"] != fmt.Sprintf(output, want.argv) || fmt.Sprint(r["stderr"]) != want.stderr || problem["exit_code"] != want.code {
					t.Errorf("%s: %v", params, r)
				}
			}
		})
	}
}

// wantEverywhere has a script look in its worker, in children and in theirs.
func wantEverywhere(t *testing.T, d *daemon, path string, params map[string]any, want []any) {
	t.Helper()
	data, err := json.Marshal(params)
	if err != nil {
		t.Fatal(err)
	}
	r := d.result(d.post(path, string(data), ""))
	found, ok := r["data"].(map[string]any)
	if !ok || len(found) != 5 {
		t.Fatalf("%v", r)
	}
	for where, names := range found {
		if fmt.Sprint(names) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", where, names, want)
		}
	}
}

// plantCache gives a module a cache of other code.
func plantCache(t *testing.T, path string) {
	t.Helper()
	if out, err := exec.Command("/usr/bin/python3", "-c", plant, path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func zip(t *testing.T, path, name, text string) {
	t.Helper()
	const pack = "import sys, zipfile\nwith zipfile.ZipFile(sys.argv[1], 'w') as z:\n    z.writestr(sys.argv[2], sys.argv[3])\n"
	if out, err := exec.Command("/usr/bin/python3", "-c", pack, path, name, text).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// extension makes a folder with a compiled module in it, or with a link to one.
func extension(t *testing.T, folder string, linked bool) {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/python3*/lib-dynload/_lsprof.cpython-*.so")
	if err != nil || len(found) == 0 {
		t.Skipf("there is no compiled module to copy: %v", err)
	}
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, filepath.Base(found[0]))
	if linked {
		link(t, found[0], path)
		return
	}
	data, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, string(data))
}

// exchange has two names change places until the test ends.
func exchange(t *testing.T, one, other string) {
	t.Helper()
	stop := make(chan struct{})
	var exchanging sync.WaitGroup
	exchanging.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Renameat2(unix.AT_FDCWD, one, unix.AT_FDCWD, other, unix.RENAME_EXCHANGE)
			}
		}
	})
	t.Cleanup(func() { close(stop); exchanging.Wait() })
}

// importsOften imports a module many times and counts whose it was, here or in a child.
const importsOften = `import collections, importlib, multiprocessing, sys

def often(name):
    found = collections.Counter()
    for _ in range(1000):
        for loaded in [loaded for loaded in sys.modules if loaded.partition(".")[0] == name.partition(".")[0]]:
            del sys.modules[loaded]
        importlib.invalidate_caches()
        try:
            found[importlib.import_module(name).WHO] += 1
        except Exception:
            found["refused"] += 1
    return found

def main(params, context):
    if params["child"]:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.apply(often, [params["name"]])
    return often(params["name"])
`

// What is exchanged between the look at a file and its opening is not loaded: neither in a worker nor in a child.
func TestNoExchangeOfFoldersLetsAModuleOut(t *testing.T) {
	t.Parallel()
	d, inside, outside := confined(t, "")
	path := write(t, filepath.Join(inside, "script.py"), importsOften)
	write(t, filepath.Join(inside, "sub", "module.py"), "WHO = 'inside'\n")
	write(t, filepath.Join(outside, "module.py"), "WHO = 'outside'\n")
	exchange(t, filepath.Join(inside, "sub"), link(t, outside, filepath.Join(inside, "spare")))
	for _, child := range []bool{false, true} {
		found, ok := d.result(d.post(path, fmt.Sprintf(`{"name": "sub.module", "child": %t}`, child), ""))["data"].(map[string]any)
		if !ok || found["inside"] == nil || found["refused"] == nil || found["outside"] != nil {
			t.Errorf("child %t: %v", child, found)
		}
	}
}

// A folder on a library's path that is somebody else's leads to bytecode of a trusted one or, the next
// moment, to what that somebody has planted in files that look like root's.
func TestNoExchangeOfFoldersHasForeignBytecodeExecuted(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to give folders away")
	}
	dir := venv(t)
	packages, err := filepath.Glob(filepath.Join(dir, "lib/python3*/site-packages"))
	if err != nil || len(packages) != 1 {
		t.Fatalf("%v %v", packages, err)
	}
	trusted, foreign := filepath.Join(dir, "trusted"), filepath.Join(dir, "foreign")
	for _, folder := range []string{trusted, foreign, filepath.Join(foreign, "planted")} {
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(trusted, "__init__.py"), "WHO = 'source'\n")
	plantCache(t, write(t, filepath.Join(foreign, "planted", "__init__.py"), "WHO = 'source'\n"))
	if err := os.Chown(foreign, 4321, 4321); err != nil {
		t.Fatal(err)
	}
	link(t, trusted, filepath.Join(foreign, "link"))
	link(t, filepath.Join(foreign, "link"), filepath.Join(packages[0], "package"))
	exchange(t, filepath.Join(foreign, "link"), filepath.Join(foreign, "planted"))
	d := start(t, strings.Replace(oneSlot, "workers = 1", fmt.Sprintf("workers = 1\n  venv = %q", dir), 1))
	path := write(t, filepath.Join(t.TempDir(), "script.py"), importsOften)
	for _, child := range []bool{false, true} {
		found, ok := d.result(d.post(path, fmt.Sprintf(`{"name": "package", "child": %t}`, child), ""))["data"].(map[string]any)
		if !ok || found["source"] == nil || found["planted"] != nil {
			t.Errorf("child %t: %v", child, found)
		}
	}
}
