package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const surroundings = `
executor "python" {
  command  = "cpulb-python"
  settings = { interrupt_after = "20ms" }
}
pool "threads" {
  executor   = "python"
  task_types = ["cpu_bound"]
  workers    = 1
}
pool "processes" {
  executor   = "python"
  task_types = ["io_bound"]
  workers    = 1
  isolation  = "process"
  settings   = { interrupt_after = "%s" }
}
`

// What a task brings is served where its executor takes it, and refused by name elsewhere;
// what a configuration brings is refused by the executor's own schema, and nothing changes.
func TestATaskBringsItsEnvironmentAndItsFolder(t *testing.T) {
	t.Parallel()
	d := start(t, fmt.Sprintf(surroundings, "30ms"))
	folder, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	path := script(t, "import os\ndef main(params, context):\n    return [os.environ.get('GREETING'), os.getcwd()]\n")
	brings := fmt.Sprintf(`"params":null,"env":{"GREETING":"hello"},"cwd":%q`, folder)
	if r, want := d.result(d.submit(path, brings)), fmt.Sprintf("[hello %s]", folder); fmt.Sprint(r["data"]) != want {
		t.Errorf("%v, want %s", r, want)
	}
	code, problem := d.call("POST", "/v1/tasks", fmt.Sprintf(`{"script_path":%q,%s}`, path, brings))
	if code != http.StatusBadRequest || problem["code"] != "not_supported" || problem["field"] != "env" || fmt.Sprint(problem["allowed"]) != "[pool processes]" {
		t.Errorf("%d %v", code, problem)
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(d.socket), "config.hcl"), fmt.Appendf(nil, surroundings, "soon"), 0o644); err != nil {
		t.Fatal(err)
	}
	want := `pool "processes": settings.interrupt_after: "soon" must be a duration such as`
	if code, answer := d.call("POST", "/v1/reload", ""); code != http.StatusUnprocessableEntity || !strings.Contains(fmt.Sprint(answer["detail"]), want) {
		t.Errorf("%d %v", code, answer)
	}
	if r := d.result(d.submit(path, brings)); r["status"] != "completed" {
		t.Errorf("after a reload that was refused: %v", r)
	}
	_, executors := d.call("GET", "/v1/executors", "")
	python := executors["executors"].([]any)[0].(map[string]any)
	if python["program"] != "python" || fmt.Sprint(python["capabilities"]) != "[CANCEL EVENTS LOOP ISOLATION TASK_ENV TASK_CWD OUTPUT]" ||
		!strings.Contains(fmt.Sprint(python["settings"]), "name:interrupt_after") {
		t.Errorf("%v", python)
	}
}
