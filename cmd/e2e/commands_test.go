package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// command is a command line of cpulb that runs.
type command struct {
	*exec.Cmd
	t        *testing.T
	out, err bytes.Buffer
}

// command begins cpulb with these arguments.
func (d *daemon) command(input string, args ...string) *command {
	d.t.Helper()
	bin, err := programs()
	if err != nil {
		d.t.Fatal(err)
	}
	c := &command{Cmd: exec.CommandContext(d.t.Context(), filepath.Join(bin, "cpulb"), append([]string{"--socket", d.socket}, args...)...), t: d.t}
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(input), &c.out, &c.err
	if err := c.Start(); err != nil {
		d.t.Fatal(err)
	}
	return c
}

// end waits for the end and returns the exit code; -1: a signal.
func (c *command) end() int {
	c.t.Helper()
	var exit *exec.ExitError
	if err := c.Wait(); err != nil && !errors.As(err, &exit) {
		c.t.Fatal(err)
	}
	return c.ProcessState.ExitCode()
}

// metrics returns the daemon's figures.
func (d *daemon) metrics() string {
	d.t.Helper()
	resp, err := d.http.Get("http://cpulb/metrics")
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return string(text)
}

const manySlots = `
executor "python" { command = "cpulb-python" }
pool "many" {
  executor = "python"
  task_types = ["cpu_bound", "io_bound"]
  workers = 1
  threads = 16
}
limits { drain_timeout = "100ms" }
`

// A daemon that is restarted in the middle of a command's work delays it, and that is all.
func TestCommandsGoOnWithTheNextDaemon(t *testing.T) {
	t.Parallel()
	d := start(t, manySlots)
	until, let := release(t)
	path := script(t, `
import os, time
def main(params, context):
    context.log.info("begun")
    while not os.path.exists(params["until"]):
        context.check_cancelled()
        time.sleep(0.005)
    context.log.info("ending")
    print("printed")
    return "done"
`)
	task := fmt.Sprintf(`{"script_path":%q,"params":%s}`, path, until)
	id := d.post(path, until, "")
	const result = "\"done\"\n"
	all := map[string]struct {
		*command
		out, err string // what there must be
	}{
		"run":          {d.command("", "run", path, "--params", until), result, "printed\n"},
		"run --follow": {d.command("", "run", path, "--follow", "--params", until), result, "info: ending\nprinted\n"},
		"result":       {d.command("", "result", id, "--timeout=10m"), result, "printed\n"},
		"logs":         {d.command("", "logs", "--follow", id), "info: ending\nprinted\n", ""},
		"events":       {d.command("", "events", id), `{"event":"result",`, ""},
		"batch":        {d.command(task+"\n", "batch", "--wait", "-"), `"status":"completed","data":"done"`, ""},
		"map":          {d.command(until+"\n"+until+"\n", "map", path), `{"line":2,`, ""},
	}
	d.until("all wait", func() bool { return strings.Contains(d.metrics(), "\ncpulb_watches 8\n") })
	d.stop()
	d.launch()
	let()
	for name, c := range all {
		if code := c.end(); code != 0 || !strings.Contains(c.command.out.String(), c.out) || !strings.Contains(c.command.err.String(), c.err) {
			t.Errorf("%s: %d\n%s\n%s\n%s", name, code, &c.command.out, &c.command.err, d.log)
		}
	}
}

// mapped is how many lines the map has that is interrupted.
func mapped() int {
	if testing.Short() {
		return 2000
	}
	return 10_000
}

func TestAMapThatIsInterruptedAndResumedGivesEachResultOnce(t *testing.T) {
	t.Parallel()
	d := start(t, manySlots)
	path := script(t, "def main(params, context):\n    return params * 2\n")
	var input strings.Builder
	for i := range mapped() {
		fmt.Fprintln(&input, i+1)
	}
	file := filepath.Join(t.TempDir(), "results")
	lines := func() int {
		text, _ := os.ReadFile(file) // an error: not yet
		return bytes.Count(text, []byte("\n"))
	}
	begin := func() *command { return d.command(input.String(), "map", path, "--resume", file) }
	for i, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL, syscall.SIGINT} {
		c := begin()
		d.until("some lines more", func() bool { return lines() >= (i+1)*mapped()/5 })
		if err := c.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if code := c.end(); code != map[syscall.Signal]int{syscall.SIGINT: 1, syscall.SIGKILL: -1}[signal] || lines() == mapped() {
			t.Fatalf("%s: %d\n%s", signal, code, &c.err)
		}
	}
	c := begin()
	d.until("some lines more", func() bool { return lines() >= 4*mapped()/5 })
	d.kill()
	d.launch()
	if code := c.end(); code != 0 {
		t.Fatalf("%d\n%s\n%s", code, &c.err, d.log)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		var r struct{ Line, Data int }
		if err := json.Unmarshal([]byte(line), &r); err != nil || r.Line != number || r.Data != 2*number {
			t.Fatalf("result %d: %s", number, line)
		}
	}
	if number != mapped() {
		t.Errorf("%d results of %d", number, mapped())
	}
}

// Who reads only the first results ends the map, and what it has in flight.
func TestAMapWhoseReaderHasGoneEnds(t *testing.T) {
	t.Parallel()
	d := start(t, oneSlot)
	c := d.command("", "--version") // for its path
	c.end()
	shell := exec.CommandContext(t.Context(), "bash", "-c", `yes '{}' | "$0" --socket "$1" map "$2" | head -n 1; echo "${PIPESTATUS[1]}"`, c.Path, d.socket, script(t, heldScript))
	out, err := shell.CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), `{"line":1,`) || !strings.HasSuffix(string(out), "\n141\n") {
		t.Fatalf("%s %v", out, err)
	}
	for _, v := range d.lines("/v1/tasks?status=pending,queued,running")[0]["tasks"].([]any) {
		t.Errorf("it goes on: %v", v)
	}
}
