package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const outputConfig = `
executor "python" { command = "cpulb-python" }
executor "exec" { command = "cpulb-exec" }
pool "programs" {
  executor   = "exec"
  task_types = ["io_bound"]
  workers    = 1
  threads    = 2
}
pool "exclusive" {
  executor   = "python"
  task_types = ["io_bound"]
  workers    = 1
}
pool "shared" {
  executor          = "python"
  task_types        = ["io_bound"]
  workers           = 1
  threads           = 2
  async_concurrency = 2
}
pool "processes" {
  executor   = "python"
  task_types = ["io_bound"]
  workers    = 1
  threads    = 2
  isolation  = "process"
}
`

// prints prints to both streams and waits to be let go, then prints more.
const prints = `
import os, sys, time
def main(params, context):
    print("half", end=" ")
    print("a line: \u00fc")
    print("an error", file=sys.stderr)
    while not os.path.exists(params["until"]):
        time.sleep(0.01)
    print("let go")
`

// printsAndFlushes is prints where nobody else can, printsOnLoop a coroutine, printsPlainly a program.
var (
	printsAndFlushes = strings.Replace(prints, "print(", "sys.stdout.reconfigure(line_buffering=True)\n    print(", 1)
	printsOnLoop     = strings.NewReplacer("def main", "import asyncio\nasync def main", "time.sleep", "await asyncio.sleep").Replace(prints)
	printsPlainly    = strings.NewReplacer("def main(params, context):", "if True:", `params["until"]`, "sys.argv[1]").Replace(printsAndFlushes)
)

const printsShell = `#!/bin/sh
printf 'half '; echo 'a line: ü'; echo 'an error' >&2
until=$(sed 's/.*:"//; s/".*//')
while [ ! -e "$until" ]; do sleep 0.01; done
echo 'let go'
`

// What a task has printed is to be seen before it ends, wherever it runs; the result has all of it.
func TestOutputIsSeenWhileTheTaskRuns(t *testing.T) {
	t.Parallel()
	d := start(t, outputConfig)
	shell := filepath.Join(t.TempDir(), "prints.sh")
	if err := os.WriteFile(shell, []byte(printsShell), 0o755); err != nil {
		t.Fatal(err)
	}
	const first, oops, rest = "half a line: ü\n", "an error\n", "let go\n"
	for name, c := range map[string]struct{ pool, path, stdout, stderr, rest string }{
		"an exclusive worker":     {"exclusive", script(t, prints), first, oops, rest},
		"a plain script there":    {"exclusive", script(t, printsPlainly), first, oops, rest},
		"a shared worker":         {"shared", script(t, prints), first, oops, rest},
		"a loop":                  {"shared", script(t, printsOnLoop), first, oops, rest},
		"a plain script":          {"shared", script(t, printsPlainly), first, oops, rest},
		"a process for each task": {"processes", script(t, printsAndFlushes), first, oops, rest},
		"a program":               {"programs", shell, "", oops, ""}, // its stdout is the result
	} {
		t.Run(name, func(t *testing.T) {
			until, let := release(t)
			args := []string{"submit", c.path, "--pool=" + c.pool, "--params", until}
			if strings.Contains(name, "plain") {
				args[len(args)-1] = "[" + strings.TrimSuffix(strings.TrimPrefix(until, `{"until":`), "}") + "]"
				args = append(args, "--function=__main__")
			}
			cmd := d.command("", args...)
			cmd.end()
			id := strings.TrimSpace(cmd.out.String())
			printed, offsets := map[string]string{}, map[string]float64{}
			resp, err := d.http.Get("http://cpulb/v1/tasks/" + id + "/events")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
				var ev map[string]any
				if err := json.Unmarshal(lines.Bytes(), &ev); err != nil {
					t.Fatal(err)
				}
				if ev["event"] == "result" {
					r := ev["result"].(map[string]any)
					if r["stdout"] != c.stdout+c.rest || r["stderr"] != c.stderr || !strings.HasPrefix(c.stdout+c.rest, printed["stdout"]) {
						t.Errorf("%v, after %q", r, printed)
					}
					return
				}
				if ev["event"] == "output" {
					stream := ev["stream"].(string)
					if ev["offset"] != offsets[stream] {
						t.Errorf("%v after %v bytes", ev, offsets[stream])
					}
					printed[stream] += ev["text"].(string)
					offsets[stream] = float64(len(printed[stream]))
				}
				if printed["stdout"] == c.stdout && printed["stderr"] == c.stderr {
					let()
				}
			}
			t.Fatalf("no result after %q\n%s", printed, d.log)
		})
	}
}

// What run --follow has shown while the script ran, it does not show again.
func TestAFollowedRunShowsOutputOnceAndWhenItComes(t *testing.T) {
	t.Parallel()
	d := start(t, outputConfig)
	bin, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	until, let := release(t)
	c := exec.CommandContext(t.Context(), filepath.Join(bin, "cpulb"), "--socket", d.socket, "run", "--follow", "--pool=processes", script(t, printsAndFlushes), "--params", until)
	said, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for all := bufio.NewScanner(said); all.Scan(); {
		if lines = append(lines, all.Text()); len(lines) == 2 {
			let()
		}
	}
	if err := c.Wait(); err != nil || len(lines) != 3 || lines[2] != "let go" || !strings.Contains(fmt.Sprint(lines[:2]), "half a line: ü") {
		t.Errorf("%v: %q\n%s", err, lines, d.log)
	}
}
