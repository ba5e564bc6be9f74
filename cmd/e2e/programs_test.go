package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

const programsConfig = `
executor "python" { command = "cpulb-python" }
executor "exec" { command = "cpulb-exec" }
pool "programs" {
  executor = "exec"
  task_types = ["cpu_bound", "io_bound"]
  workers = 1
  threads = 8
  isolation = "process"
}
`

// program writes a script of another language and returns its path.
func program(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestProgramsOfAnyLanguageRun(t *testing.T) {
	t.Parallel()
	d := start(t, programsConfig)
	for language, text := range map[string]string{
		"bash": "#!/bin/bash\nread -r line; echo \"[${line}, \\\"$CPULB_TASK_TYPE\\\"]\"; echo said >&2",
		"node": "#!/usr/bin/env node\nconst p = JSON.parse(require('fs').readFileSync(0)); console.error('said'); console.log(JSON.stringify([p, process.env.CPULB_TASK_TYPE]))",
		"php":  "#!/usr/bin/env php\n<?php fwrite(STDERR, \"said\\n\"); echo json_encode([json_decode(stream_get_contents(STDIN)), getenv('CPULB_TASK_TYPE')]);",
		"perl": "#!/usr/bin/perl\nmy $p = <STDIN>; print STDERR \"said\\n\"; print \"[$p, \\\"$ENV{CPULB_TASK_TYPE}\\\"]\";",
	} {
		t.Run(language, func(t *testing.T) {
			if _, err := exec.LookPath(language); err != nil {
				t.Skipf("%s is not installed", language)
			}
			r := d.run(program(t, text), `{"value":21}`, "io_bound")
			data, _ := json.Marshal(r["data"])
			if r["status"] != "completed" || string(data) != `[{"value":21},"io_bound"]` || r["stderr"] != "said\n" {
				t.Errorf("%v\n%s", r, d.log)
			}
		})
	}
}

// The daemon has a user of its own, and the privileges of its unit.
func TestProgramsRunAsTheirCallers(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can run a daemon as another user")
	}
	bin, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	uid := account(t, "games")
	config := fmt.Sprintf("executor \"exec\" { command = %q }\n", filepath.Join(bin, "cpulb-exec")) + callersConfig
	d := lay(t, nil, config)
	if err := errors.Join(os.Chown(filepath.Dir(d.socket), wallDaemon, wallDaemon), os.Chmod(filepath.Dir(d.socket), 0o755)); err != nil {
		t.Fatal(err)
	}
	d.args = append(asThePackagedOne(t), slices.DeleteFunc(d.args, func(arg string) bool { return arg == "-private" })...)
	d.launch()
	path := filepath.Join(folder(t, 0o755), "program")
	const text = "#!/bin/sh\nid -un; cat; echo ok >/dev/stdout\n"
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	tasks := map[string]string{"script": fmt.Sprintf(`"script_path":%q`, path), "source": fmt.Sprintf(`"source":%q`, text)}
	if _, err := exec.LookPath("node"); err == nil { // it looks for where its script really is
		js := "#!/usr/bin/env node\nconst {execFileSync: run} = require('child_process'); process.stdout.write(run('id', ['-un']) + '{}\\nok\\n')\n"
		tasks["node's source"] = fmt.Sprintf(`"source":%q`, js)
	}
	for name, what := range tasks {
		code, r := d.as(uid).call("POST", "/v1/tasks?wait=10m", fmt.Sprintf(`{%s,"params":{},"cwd":"/","task_type":"io_bound"}`, what))
		if code != 200 || r["status"] != "completed" || r["data"] != "games\n{}\nok" {
			t.Errorf("%s: %d %v\n%s", name, code, r, d.log)
		}
	}
}

const callersConfig = `
pool "programs" {
  executor   = "exec"
  task_types = ["io_bound"]
  workers    = 1
  threads    = 2
  isolation  = "process"
  user       = "caller"
  users      = ["games"]
}
access { source = true }
socket { mode = "0666" }
`

func TestAProgramHasTheEnvironmentAndFolderOfItsTask(t *testing.T) {
	t.Parallel()
	d := start(t, programsConfig)
	path := program(t, "#!/bin/sh\necho \"$GREETING from $PWD\"\n")
	code, r := d.call("POST", "/v1/tasks?wait=10m", fmt.Sprintf(`{"script_path":%q,"task_type":"io_bound","env":{"GREETING":"hello"},"cwd":"/usr"}`, path))
	if code != 200 || r["data"] != "hello from /usr" {
		t.Errorf("%d %v\n%s", code, r, d.log)
	}
}

// Results are those of a hundred programs that run eight at a time, each with its own words.
func TestProgramsOfOneWorkerDoNotMix(t *testing.T) {
	t.Parallel()
	d := start(t, programsConfig)
	path := program(t, "#!/bin/sh\nread -r line; echo \"$line\" >&2; echo \"$line\"\n")
	const count = 100
	type answer struct {
		code int
		r    map[string]any
	}
	answers := make([]chan answer, count)
	for i := range answers {
		answers[i] = make(chan answer, 1)
		go func() {
			code, r := d.call("POST", "/v1/tasks?wait=10m", fmt.Sprintf(`{"script_path":%q,"task_type":"io_bound","params":%d}`, path, i))
			answers[i] <- answer{code, r}
		}()
	}
	for i := range answers {
		a := <-answers[i]
		if a.code != 200 || a.r["data"] != float64(i) || a.r["stderr"] != fmt.Sprintf("%d\n", i) {
			t.Errorf("task %d: %d %v", i, a.code, a.r)
		}
	}
}
