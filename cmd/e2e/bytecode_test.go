package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
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

// planted is a package whose bytecode is other code.
type planted struct {
	folder, cache, file os.FileMode
	owner, cacheOwner   int
	fileOwner           int
	group               string // of all three; empty: that of a user who has an account
	who                 string // the code that is to be executed
}

// What is planted is executed where nobody else may write, as it is by python3: so the
// test would notice.
func TestBytecodeThatOthersMayHavePlantedIsNotExecuted(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to give folders away")
	}
	cases := map[string]planted{
		"sound":            {0o755, 0o755, 0o644, 0, 0, 0, "", "planted"},
		"open_cache":       {0o755, 0o777, 0o644, 0, 0, 0, "", "source"},
		"sticky_cache":     {0o755, 0o777 | os.ModeSticky, 0o644, 0, 0, 0, "", "source"},
		"open_folder":      {0o777, 0o755, 0o644, 0, 0, 0, "", "source"},
		"open_file":        {0o755, 0o755, 0o666, 0, 0, 0, "", "source"},
		"foreign_folder":   {0o755, 0o755, 0o644, 4321, 0, 0, "", "source"},
		"foreign_cache":    {0o755, 0o755, 0o644, 0, 4321, 0, "", "source"},
		"foreign_file":     {0o755, 0o755, 0o644, 0, 0, 4321, "", "source"},
		"all_foreign":      {0o755, 0o755, 0o644, 4321, 4321, 4321, "", "source"},
		"folder_of_others": {0o775, 0o755, 0o644, 0, 0, 0, "", "source"},
		"cache_of_others":  {0o755, 0o775, 0o644, 0, 0, 0, "", "source"},
		"file_of_others":   {0o755, 0o755, 0o664, 0, 0, 0, "", "source"},
		"group_of_nobody":  {0o775, 0o775, 0o664, 0, 0, 0, emptyGroup(t), "planted"},
		"group_of_root":    {0o775, 0o775, 0o664, 0, 0, 0, "0", "planted"},
		"group_unknown":    {0o775, 0o755, 0o644, 0, 0, 0, "4321", "source"},
	}
	dir, packages := planting(t, cases)
	if err := os.Mkdir(filepath.Join(packages, "above"), 0o755); err != nil {
		t.Fatal(err)
	}
	plantIn(t, filepath.Join(packages, "above", "below"), cases["sound"])
	if err := os.Chmod(filepath.Join(packages, "above"), 0o777); err != nil {
		t.Fatal(err)
	}
	hard := filepath.Join(packages, "hard_link")
	plantIn(t, hard, cases["foreign_file"])
	cases["above.below"], cases["hard_link"] = planted{who: "source"}, planted{who: "source"}
	wantPlanted(t, "workers = 1", dir, cases)
	for name, user := range map[string]string{"threads": "", "process": "\n  isolation = \"process\""} {
		own := maps.Clone(cases)
		for _, name := range []string{"foreign_folder", "foreign_cache", "foreign_file", "all_foreign"} {
			c := own[name]
			c.who = "planted" // it is the pool's user's own
			own[name] = c
		}
		delete(own, "hard_link")
		t.Run(name+" of the owner", func(t *testing.T) {
			wantPlanted(t, "workers = 1\n  user = \"4321\"\n  group = \"4321\""+user, dir, own)
		})
	}
}

// In a namespace of users root's files can't be told from others': what was nobody else's before is trusted, and not compiled for each task.
func TestBytecodeIsUsedWhereOwnersCantBeSeen(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root, for a pool with a user")
	}
	if none, err := os.ReadFile("/proc/sys/user/max_user_namespaces"); err != nil || strings.TrimSpace(string(none)) == "0" {
		t.Skip("the kernel gives no namespace of users")
	}
	cases := map[string]planted{
		"sound":       {0o755, 0o755, 0o644, 0, 0, 0, "", "planted"},
		"open_cache":  {0o755, 0o777, 0o644, 0, 0, 0, "", "source"},
		"open_folder": {0o777, 0o755, 0o644, 0, 0, 0, "", "source"},
		"open_file":   {0o755, 0o755, 0o666, 0, 0, 0, "", "source"},
	}
	dir, _ := planting(t, cases)
	wantPlanted(t, "workers = 1\n  user = \"4321\"\n  group = \"4321\"\n  isolation = \"process\"\n  network = false", dir, cases)
}

func TestTheCallersBytecodeIsExecutedInItsOwnTasks(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to run tasks as others")
	}
	games, news := account(t, "games"), account(t, "news")
	cases := map[string]planted{
		"sound":     {0o755, 0o755, 0o644, 0, 0, 0, "", "planted"},
		"own":       {0o755, 0o755, 0o644, games, games, games, "", "planted"},
		"anothers":  {0o755, 0o755, 0o644, 0, news, 0, "", "source"},
		"own_group": {0o775, 0o775, 0o644, 0, 0, 0, "", "planted"}, // it has no other member
	}
	dir, _ := planting(t, cases)
	wantPlanted(t, "workers = 1\n  isolation = \"process\"\n"+asCaller, dir, cases)
}

// wantPlanted has a task of a pool import all, and a child of its.
func wantPlanted(t *testing.T, pool, venv string, cases map[string]planted) {
	t.Helper()
	const text = `import importlib, multiprocessing
def look(name):
    return importlib.import_module(name).WHO
def main(params, context):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return [{name: look(name) for name in params}, dict(zip(params, pool.map(look, params)))]
`
	want := map[string]any{}
	for name, c := range cases {
		want[name] = c.who
	}
	params, err := json.Marshal(slices.Collect(maps.Keys(cases)))
	if err != nil {
		t.Fatal(err)
	}
	d := lay(t, nil, strings.Replace(oneSlot, "workers = 1", fmt.Sprintf("%s\n  venv = %q", pool, venv), 1))
	scripts := t.TempDir()
	for _, folder := range []string{filepath.Dir(d.socket), filepath.Dir(scripts), filepath.Dir(filepath.Dir(venv))} { // for the pool's user
		if err := os.Chmod(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	d.args = slices.DeleteFunc(d.args, func(arg string) bool { return arg == "-private" })
	d.launch()
	if strings.Contains(pool, asCaller) {
		d = d.as(account(t, "games"))
	}
	r := d.result(d.post(write(t, filepath.Join(scripts, "x.py"), text), string(params), ""))
	if fmt.Sprint(r["data"]) != fmt.Sprint([]any{want, want}) {
		t.Errorf("%v\nwant twice %v", r, want)
	}
}

// planting is a virtual environment with these packages.
func planting(t *testing.T, cases map[string]planted) (dir, packages string) {
	t.Helper()
	dir = venv(t)
	found, err := filepath.Glob(filepath.Join(dir, "lib/python3*/site-packages"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%v %v", found, err)
	}
	for name, c := range cases {
		plantIn(t, filepath.Join(found[0], name), c)
	}
	return dir, found[0]
}

func plantIn(t *testing.T, folder string, c planted) {
	t.Helper()
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	plantCache(t, write(t, filepath.Join(folder, "__init__.py"), "WHO = 'source'\n"))
	cache := filepath.Join(folder, "__pycache__")
	file, err := filepath.Glob(filepath.Join(cache, "*.pyc"))
	if err != nil || len(file) != 1 {
		t.Fatalf("%v %v", file, err)
	}
	group := 60 // of games: every system has that user
	if c.group != "" {
		if group, err = strconv.Atoi(c.group); err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range []struct {
		path  string
		owner int
		mode  os.FileMode
	}{{file[0], c.fileOwner, c.file}, {cache, c.cacheOwner, c.cache}, {folder, c.owner, c.folder}} {
		if err := errors.Join(os.Chown(x.path, x.owner, group), os.Chmod(x.path, x.mode)); err != nil {
			t.Fatal(err)
		}
	}
}

// emptyGroup is a group that has no members, as Debian's staff, whose /usr/local is.
func emptyGroup(t *testing.T) string {
	t.Helper()
	group, err := user.LookupGroup("staff")
	if err != nil {
		t.Skip(err)
	}
	return group.Gid
}

// A module of which a script has only bytecode is loaded if it is root's or the script's owner's, and nobody else's.
func TestAModuleWithoutSourceIsLoadedWhereOnlyItsScriptsOwnerMayWrite(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to give folders away")
	}
	d := start(t, oneSlot)
	for name, c := range map[string]struct {
		script, module int
		mode           os.FileMode
		loaded         bool
	}{
		"root's":        {0, 0, 0o755, true},
		"the owner's":   {4321, 4321, 0o755, true},
		"another's":     {0, 4321, 0o755, false},
		"anybody's":     {0, 0, 0o777, false},
		"owner's, open": {4321, 4321, 0o777, false},
	} {
		folder := t.TempDir()
		path := write(t, filepath.Join(folder, "x.py"), "import only_compiled\ndef main(params, context):\n    return only_compiled.WHO\n")
		module := write(t, filepath.Join(folder, "only_compiled.py"), "WHO = 'source'\n")
		plantCache(t, module)
		found, err := filepath.Glob(filepath.Join(folder, "__pycache__", "*.pyc"))
		if err != nil || len(found) != 1 {
			t.Fatal(found, err)
		}
		if err := errors.Join(os.Remove(module), os.Rename(found[0], module+"c"), os.Chown(path, c.script, 0), os.Chown(module+"c", c.module, 0),
			os.Chown(folder, c.module, 0), os.Chmod(folder, c.mode)); err != nil {
			t.Fatal(err)
		}
		if r := d.result(d.post(path, "null", "")); (r["data"] == "planted") != c.loaded || !c.loaded && !strings.Contains(fmt.Sprint(r["error"]), "others may write it") {
			t.Errorf("%s: %v", name, r)
		}
	}
}
