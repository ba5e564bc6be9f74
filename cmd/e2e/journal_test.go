package e2e_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// onSmallDisk has d keep its journal on a file system of some megabytes.
func onSmallDisk(t *testing.T, d *daemon) (folder string) {
	t.Helper()
	folder = t.TempDir()
	if err := unix.Mount("tmpfs", folder, "tmpfs", 0, "size=8m"); err != nil {
		t.Skip("no file system can be mounted here:", err)
	}
	t.Cleanup(func() {
		d.stop() // it has a file open there
		if err := unix.Unmount(folder, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	d.stop()
	d.args[len(d.args)-1] = filepath.Join(folder, "state")
	d.launch()
	return folder
}

func TestOnAFullDiskTasksAreRefusedAndWhatRunsEndsOnceThereIsRoom(t *testing.T) {
	t.Parallel()
	d := start(t, testConfig)
	folder := onSmallDisk(t, d)
	until, let := release(t)
	path := script(t, heldScript)
	running := d.post(path, strings.TrimSuffix(until, "}")+`,"data":"`+strings.Repeat("x", 60<<10)+`"}`, `,"task_type":"io_bound"`)
	d.await("process_pool", "active_threads", 1)
	ballast := filepath.Join(folder, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 64 << 10; size > 0; size /= 2 { // to the last byte
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, unix.ENOSPC) {
			t.Fatal(err)
		}
	}
	body := fmt.Sprintf(`{"script_path":%q,"params":{"data":%q}}`, path, strings.Repeat("y", 60<<10))
	status, answer := 0, map[string]any{}
	for range 200 { // there is some room within the journal's file
		if status, answer = d.call("POST", "/v1/tasks", body); status != http.StatusAccepted {
			break
		}
	}
	if status != http.StatusInsufficientStorage || answer["code"] != "journal_full" {
		t.Fatalf("%d %v", status, answer)
	}
	let()
	if status, view := d.call("GET", "/v1/tasks/"+running, ""); status != http.StatusOK {
		t.Errorf("%d %v", status, view)
	}
	if _, s := d.call("GET", "/v1/status", ""); s["components"].(map[string]any)["journal"].(map[string]any)["health"] != "degraded" {
		t.Errorf("%v", s)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if r := d.result(running); r["status"] != "completed" {
		t.Errorf("%v", r)
	}
	d.until("tasks are accepted again", func() bool { // by itself, a second later
		status, answer = d.call("POST", "/v1/tasks", body)
		return status == http.StatusAccepted
	})
	if r := d.result(answer["task_id"].(string)); r["status"] != "completed" {
		t.Errorf("%v", r)
	}
}

func TestEveryMetricIsDocumentedAndThere(t *testing.T) {
	t.Parallel()
	d := start(t, testConfig)
	d.run(script(t, doubles), `{"value":21}`, "cpu_bound")
	resp, err := d.http.Get("http://cpulb/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var text strings.Builder
	buffer := make([]byte, 4096)
	for n := 0; err == nil; {
		n, err = resp.Body.Read(buffer)
		text.Write(buffer[:n])
	}
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	names := func(pattern, in string) (all []string) {
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(in, -1) {
			all = append(all, m[1])
		}
		slices.Sort(all)
		return slices.Compact(all)
	}
	served, documented := names(`(?m)^# TYPE (cpulb_\w+) `, text.String()), names("`(cpulb_\\w+)", string(page))
	// Those of what is off by default are there with it alone.
	off := names("`(cpulb_\\w+)", strings.Join(regexp.MustCompile(`(?m)^\|.*; only with .*$`).FindAllString(string(page), -1), "\n"))
	documented = slices.DeleteFunc(documented, func(name string) bool { return slices.Contains(off, name) })
	if !slices.Equal(served, documented) {
		t.Errorf("served\n%s\ndocumented\n%s", strings.Join(served, "\n"), strings.Join(documented, "\n"))
	}
	served = append(names(`(?m)^# TYPE (\w+) `, text.String()), off...)
	for _, file := range []string{"prometheus/cpulb.rules.yml", "prometheus/cpulb.rules_test.yml", "grafana/cpulb.json"} {
		packaged, err := os.ReadFile("../../packaging/" + file)
		if err != nil {
			t.Fatal(err)
		}
		used := names(`\b((?:cpulb|process|go)_[a-z_]+)`, string(packaged))
		for _, name := range used {
			whole := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
			if !slices.Contains(served, name) && !slices.Contains(served, whole) {
				t.Errorf("packaging/%s: there is no metric %s", file, name)
			}
		}
		if len(used) < 10 {
			t.Errorf("packaging/%s: only %v", file, used)
		}
	}
	if !strings.Contains(text.String(), `cpulb_tasks_ended_total{pool="cpu",status="completed"} 1`) {
		t.Errorf("the task was not counted:\n%s", text.String())
	}
}
