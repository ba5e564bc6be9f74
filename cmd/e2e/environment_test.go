package e2e_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// venv makes a virtual environment with one package of its own in it.
func venv(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "venv")
	if out, err := exec.Command("/usr/bin/python3", "-m", "venv", "--without-pip", dir).CombinedOutput(); err != nil {
		t.Skipf("no virtual environment can be made (python3-venv?): %v %s", err, out)
	}
	packages, err := filepath.Glob(filepath.Join(dir, "lib", "python3*", "site-packages"))
	if err != nil || len(packages) != 1 {
		t.Fatal(packages, err)
	}
	if err := os.WriteFile(filepath.Join(packages[0], "only_in_the_venv.py"), []byte("NAME = 'found'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func environmentConfig(executor, pool string) string {
	return fmt.Sprintf(`
executor "python" {
  command = "cpulb-python"
  %s
}
pool "one" {
  executor = "python"
  task_types = ["cpu_bound"]
  workers = 1
  %s
}
`, executor, pool)
}

func TestScriptsSeeTheirVirtualEnvironmentPreloadsAndVariables(t *testing.T) {
	t.Parallel()
	dir := venv(t)
	d := start(t, environmentConfig(`
  venv = "/overridden/by/the/pool"
  preload = ["only_in_the_venv", "xml.etree"]
  env = { GREETING = "hello" }`[1:], fmt.Sprintf("venv = %q", dir)))
	r := d.run(script(t, `import os, sys
loaded = "only_in_the_venv" in sys.modules and "xml.etree" in sys.modules
def main(p, c):
    import only_in_the_venv
    return [only_in_the_venv.NAME, loaded, os.environ["GREETING"], sys.prefix, sys.executable, sys.base_prefix != sys.prefix]
`), "{}", "cpu_bound")
	if want := fmt.Sprintf("[found true hello %s %s/bin/python true]", dir, dir); fmt.Sprint(r["data"]) != want {
		t.Errorf("%v, want %s; %v", r["data"], want, r["error"])
	}
	if !slices.ContainsFunc(strings.Split(d.log.String(), "\n"), func(line string) bool {
		return strings.Contains(line, `text="module is loaded"`) && strings.Contains(line, `\"module\":\"only_in_the_venv\"`) && strings.Contains(line, `\"took\":`)
	}) {
		t.Errorf("the log does not say how long a module took:\n%s", d.log)
	}
}

// refused starts a daemon that must not come up and returns what it says.
func refused(t *testing.T, config string) string {
	t.Helper()
	bin, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "cpulb")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "config.hcl")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	c := exec.CommandContext(t.Context(), filepath.Join(bin, "cpulbd"), "-private", "-config", path, "-socket", filepath.Join(dir, "s"), "-state-dir", dir)
	c.Stderr = &said
	if c.Run() == nil {
		t.Fatal("it came up")
	}
	return said.String()
}

func TestAnEnvironmentThatIsNoneIsAClearErrorOfTheStart(t *testing.T) {
	t.Parallel()
	other := venv(t)
	text := "home = /usr/bin\nversion = 3.4.1\n"
	if err := os.WriteFile(filepath.Join(other, "pyvenv.cfg"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for setting, says := range map[string]string{
		`venv = "/nonexistent"`:           "/nonexistent is not a virtual environment",
		fmt.Sprintf("venv = %q", other):   "is for Python 3.4.1, this executor embeds 3.",
		`preload = ["no_such_module"]`:    "preload: no_such_module",
		`settings = { colour = "red" }`:   `executor "python": settings.colour: the executor python has no such setting (allowed: venv, preload, interrupt_after)`,
		`venv = "relative"`:               "must be an absolute path",
		`preload = "numpy"`:               "must be a list of module names",
		`preload = ["import os; evil()"]`: "must be a list of module names",
	} {
		if said := refused(t, environmentConfig(setting, "")); !strings.Contains(said, says) {
			t.Errorf("%s: it said\n%s", setting, said)
		}
	}
}

func TestWorkersInheritNothingThatTheDaemonWasStartedWith(t *testing.T) {
	t.Parallel()
	d := lay(t, nil, testConfig)
	left := script(t, "whoever starts the daemon has this open")
	d.args = append([]string{"/bin/sh", "-c", `exec 7<"$0" && exec "$@"`, left}, d.args...)
	d.launch()
	path := script(t, `
import os
def main(params, context):
    return [os.readlink("/proc/self/fd/7") if os.path.exists("/proc/self/fd/7") else None]
`)
	if r := d.run(path, "null", "io_bound"); slices.Contains(r["data"].([]any), any(left)) {
		t.Errorf("a script finds %v", r["data"])
	}
}
