package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// fewScripts is how many of the corpus, which is the same each time, are run;
// CPULB_DIFFERENTIAL sets another number.
func fewScripts() int { return inShort(15, 40) }

const twoKindsOfPool = `
executor "python" { command = "cpulb-python" }
pool "exclusive" {
  executor = "python"
  task_types = ["cpu_bound"]
  workers = 1
  threads = 1
  pin = false
}
pool "shared" {
  executor = "python"
  task_types = ["io_bound"]
  workers = 1
  threads = 4
  pin = false
}
`

// ending is what is seen of a script that has run.
type ending struct {
	exit           int
	stdout, stderr string
}

// plainScript is one with its arguments.
type plainScript struct {
	name, path string
	args       []string
}

func TestAPlainScriptEndsAsUnderPython(t *testing.T) {
	if _, err := os.Stat("/usr/bin/python3"); err != nil {
		t.Skip(err)
	}
	scripts := append(corpus(t), examples(t)...)
	d := start(t, twoKindsOfPool)
	for n, pool := range []string{"exclusive", "shared"} {
		t.Run(pool, func(t *testing.T) {
			t.Parallel()
			for i, s := range scripts {
				if i%2 != n && testing.Short() && os.Getenv("CPULB_DIFFERENTIAL") == "" { // each in one of the pools
					continue
				}
				t.Run(s.name, func(t *testing.T) {
					compare(t, s, d.runsPlain(t, s, pool))
				})
			}
		})
	}
}

// The command line passes a plain script's output and exit code on as they are.
func TestCpulbRunsAPlainScriptAsPythonDoes(t *testing.T) {
	bin, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	d := start(t, twoKindsOfPool)
	for i, s := range corpus(t)[:inShort(5, 12)] {
		for n, pool := range []string{"exclusive", "shared"} {
			if testing.Short() && i%2 != n {
				continue
			}
			t.Run(pool+"/"+s.name, func(t *testing.T) {
				compare(t, s, runs(t, filepath.Join(bin, "cpulb"), "run", "--socket", d.socket, "--pool", pool, "--function", "__main__",
					"--params", s.params(t), s.path))
			})
		}
	}
}

// compare holds got to what python3 does.
func compare(t *testing.T, s plainScript, got ending) {
	t.Helper()
	want := runs(t, "/usr/bin/python3", append([]string{s.path}, s.args...)...)
	if got.anywhere() == want.anywhere() {
		return
	}
	text, _ := os.ReadFile(s.path)
	t.Errorf("exit code %d, under python3 %d\nstdout:\n%s\nunder python3:\n%s\nstderr:\n%s\nunder python3:\n%s\nscript %q:\n%s",
		got.exit, want.exit, got.stdout, want.stdout, got.stderr, want.stderr, s.args, text)
}

// runs runs a program with an empty stdin.
func runs(t *testing.T, program string, args ...string) ending {
	t.Helper()
	c := exec.CommandContext(t.Context(), program, args...)
	c.Dir = "/"
	c.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := c.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	e := ending{c.ProcessState.ExitCode(), stdout.String(), stderr.String()}
	if status, ok := c.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		e.exit = 128 + int(status.Signal()) // as shells have it
	}
	return e
}

// addresses are where objects happen to be.
var addresses = regexp.MustCompile(`\b0x[0-9a-f]+`)

// anywhere is e wherever its objects were.
func (e ending) anywhere() ending {
	return ending{e.exit, addresses.ReplaceAllString(e.stdout, "0x"), addresses.ReplaceAllString(e.stderr, "0x")}
}

func (s plainScript) params(t *testing.T) string {
	t.Helper()
	params, err := json.Marshal(s.args)
	if err != nil {
		t.Fatal(err)
	}
	return string(params)
}

// runsPlain runs the script as a task.
func (d *daemon) runsPlain(t *testing.T, s plainScript, pool string) ending {
	t.Helper()
	taskType := map[string]string{"exclusive": "cpu_bound", "shared": "io_bound"}[pool]
	code, r := d.call("POST", "/v1/tasks?wait=10m", fmt.Sprintf(`{"script_path":%q,"params":%s,"function":"__main__","task_type":%q,"pool":%q}`,
		s.path, s.params(t), taskType, pool))
	if code != 200 {
		id, _ := r["task_id"].(string)
		d.call("DELETE", "/v1/tasks/"+id, "")
		t.Fatalf("%d %v", code, r)
	}
	text := func(name string) string { s, _ := r[name].(string); return s }
	e := ending{stdout: text("stdout"), stderr: text("stderr")}
	if r["status"] == "completed" {
		return e
	}
	problem, _ := r["error"].(map[string]any)
	exit, ok := problem["exit_code"].(float64)
	if !ok {
		t.Fatalf("%v", r)
	}
	e.exit = int(exit)
	return e
}

// examples are the scripts that a reader of the repository tries first.
func examples(t *testing.T) []plainScript {
	t.Helper()
	paths, err := filepath.Glob("../../examples/*.py")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	var all []plainScript
	for _, path := range paths {
		if name := filepath.Base(path); name != "demo.py" { // which runs a daemon itself
			absolute, err := filepath.Abs(path)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, plainScript{name: name, path: absolute, args: []string{}})
		}
	}
	return all
}

// corpus writes the scripts. Each is made of its own number alone.
func corpus(t *testing.T) []plainScript {
	t.Helper()
	count := fewScripts()
	if text := os.Getenv("CPULB_DIFFERENTIAL"); text != "" {
		var err error
		if count, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	middles, ends := snippets(t)
	dir := t.TempDir()
	var all []plainScript
	for i := range count {
		r := rand.New(rand.NewPCG(1, uint64(i)))
		var text strings.Builder
		for n, which := range r.Perm(len(middles))[:2+r.IntN(4)] {
			text.WriteString(filled(middles[which], n, r))
		}
		if r.IntN(3) > 0 {
			text.WriteString(filled(ends[i%len(ends)], 99, r))
		}
		s := plainScript{name: fmt.Sprintf("script%03d.py", i), args: words[:r.IntN(3)]}
		s.path = filepath.Join(dir, s.name)
		if err := os.WriteFile(s.path, []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

var words = []string{"apple", "pear tree", "plum", "cherry", "fig"}

// places are what is filled in a piece: see snippets.txt.
var places = regexp.MustCompile(`\b[NM]\b|WORD|ID\b`)

func filled(piece string, id int, r *rand.Rand) string {
	values := map[string]string{"WORD": words[2+r.IntN(len(words)-2)], "ID": strconv.Itoa(id), "N": strconv.Itoa(r.IntN(9)), "M": strconv.Itoa(r.IntN(9))}
	return places.ReplaceAllStringFunc(piece, func(place string) string { return values[place] })
}

// snippets reads the pieces of scripts.
func snippets(t *testing.T) (middles, ends []string) {
	t.Helper()
	text, err := os.ReadFile("testdata/snippets.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.Split(string(text), "\n== ")[1:] {
		kind, piece, _ := strings.Cut(part, "\n")
		if piece += "\n"; kind == "middle" {
			middles = append(middles, piece)
		} else {
			ends = append(ends, piece)
		}
	}
	return middles, ends
}
