package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	large = 4 << 20
	// roomBound is results.max_bytes in it.
	roomConfig = testConfig + "results { max_bytes = \"16MiB\" }\n"
	roomBound  = 16 << 20
)

// counting waits to be let go, writes a line to a file for each of its runs, and returns
// megabytes.
const counting = `
import os, time
def main(params, context):
    while not os.path.exists(params["until"]):
        time.sleep(0.01)
    fd = os.open(params["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, f"{context.task_id}\n".encode())
    os.close(fd)
    return "x" * params["size"]
`

// resident is what the daemon has in memory.
func (d *daemon) resident() int64 {
	d.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.own.PID()))
	if err != nil {
		d.t.Fatal(err)
	}
	kib, err := strconv.ParseInt(regexp.MustCompile(`VmHWM:\s+(\d+)`).FindStringSubmatch(string(status))[1], 10, 64)
	if err != nil {
		d.t.Fatal(err)
	}
	return kib << 10
}

func (d *daemon) waitingBytes() float64 {
	_, s := d.call("GET", "/v1/status", "")
	return s["components"].(map[string]any)["journal"].(map[string]any)["metrics"].(map[string]any)["waiting_bytes"].(float64)
}

// runsOf counts how many times each task ran.
func runsOf(t *testing.T, log string) map[string]int {
	t.Helper()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	runs := map[string]int{}
	for _, id := range strings.Fields(string(text)) {
		runs[id]++
	}
	return runs
}

func TestLargeResultsOnAFullDiskAreBoundedAndAllEndOnceThereIsRoom(t *testing.T) {
	t.Parallel()
	d := start(t, roomConfig)
	folder := onSmallDisk(t, d)
	log := filepath.Join(t.TempDir(), "runs")
	path := script(t, counting)
	until, let := release(t)
	tasks := inShort(60, 300)
	ids := make([]string, 0, tasks)
	for range tasks {
		ids = append(ids, d.post(path, strings.TrimSuffix(until, "}")+fmt.Sprintf(`,"log":%q,"size":%d}`, log, large), ""))
	}
	let()
	held := func() bool { return strings.Contains(d.reasonOf("journal"), "no task is started") }
	d.until("the bound is reached", held)
	const running = 2 * large // of two workers
	if n := d.waitingBytes(); n > roomBound+running+1<<20 {
		t.Errorf("%.0f bytes wait", n)
	}
	if code, _ := d.call("GET", "/v1/tasks?limit=10", ""); code != http.StatusOK {
		t.Errorf("lists: %d", code)
	}
	if n, most := d.resident(), int64(inShort(160, 400))<<20; n > most { // of 240 or 1,200 MiB
		t.Errorf("the daemon has had %d MiB in memory", n>>20)
	}
	d.kill()
	d.launch() // on the full disk
	d.until("the bound is reached again", held)
	if n := d.waitingBytes(); n > roomBound+running+1<<20 {
		t.Errorf("%.0f bytes wait after the restart", n)
	}
	before := runsOf(t, log)
	d.grow(folder, "2g")
	for _, id := range ids {
		d.until("it is over", func() bool {
			code, view := d.call("GET", "/v1/tasks/"+id, "")
			return code == http.StatusGone || view["status"] == "completed"
		})
	}
	for id, n := range runsOf(t, log) {
		if n > before[id] && before[id] > 2 || n > 2 { // once more for the daemon that was killed
			t.Errorf("%s ran %d times, %d before there was room", id, n, before[id])
		}
	}
}

// grow gives the file system of onSmallDisk more room.
func (d *daemon) grow(folder, size string) {
	d.t.Helper()
	if err := unix.Mount("tmpfs", folder, "tmpfs", unix.MS_REMOUNT, "size="+size); err != nil {
		d.t.Fatal(err)
	}
}

// reasonOf says why a component is degraded.
func (d *daemon) reasonOf(component string) string {
	_, s := d.call("GET", "/v1/status", "")
	reason, _ := s["components"].(map[string]any)[component].(map[string]any)["reason"].(string)
	return reason
}
