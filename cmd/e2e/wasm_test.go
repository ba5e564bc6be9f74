package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const wasmConfig = `
executor "wasm" { command = "cpulb-wasm" }
pool "untrusted" {
  executor   = "wasm"
  task_types = ["io_bound"]
  workers    = 1
  threads    = 3
  settings   = { module_memory = "1MiB", output = "json" }
}
`

// module writes a module to a file: its function _start has this body. There are fd_read (0)
// and fd_write (1), and a page of memory.
func module(t *testing.T, name, body string) string {
	t.Helper()
	section := func(id byte, content string) string { return string(id) + string(byte(len(content))) + content }
	wasi := func(name string) string {
		return "\x16wasi_snapshot_preview1" + string(byte(len(name))) + name + "\x00\x00"
	}
	text := "\x00asm\x01\x00\x00\x00" +
		section(1, "\x02\x60\x04\x7f\x7f\x7f\x7f\x01\x7f\x60\x00\x00") + // (i32 i32 i32 i32) → i32, and () → ()
		section(2, "\x02"+wasi("fd_read")+wasi("fd_write")) +
		section(3, "\x01\x01") +
		section(5, "\x01\x00\x01") +
		section(7, "\x02\x06_start\x00\x02\x06memory\x02\x00") +
		section(10, "\x01"+string(byte(len(body)+1))+"\x00"+body)
	path := filepath.Join(t.TempDir(), name+".wasm")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	// wasmEcho copies its input to its output, up to 32 KiB at a time, by a vector at 0 of what
	// is at 16; how much it was is at 8.
	wasmEcho = "\x03\x40" + // loop
		"\x41\x00\x41\x10\x36\x02\x00" + "\x41\x04\x41\x80\x80\x02\x36\x02\x00" + // [0] = 16, [4] = 32768
		"\x41\x00\x41\x00\x41\x01\x41\x08\x10\x00\x1a" + // fd_read(0, 0, 1, 8)
		"\x41\x08\x28\x02\x00\x45\x04\x40\x0f\x0b" + // if [8] is 0, return
		"\x41\x04\x41\x08\x28\x02\x00\x36\x02\x00" + // [4] = [8]
		"\x41\x01\x41\x00\x41\x01\x41\x08\x10\x01\x1a" + // fd_write(1, 0, 1, 8)
		"\x0c\x00\x0b\x0b"
	wasmSpins = "\x03\x40\x0c\x00\x0b\x0b"
)

// A module that never ends has one slot of its worker until its time is over; the others go
// on beside it, and so does the worker.
func TestModulesRunBesideOneThatNeverEnds(t *testing.T) {
	t.Parallel()
	d := start(t, wasmConfig)
	echo, spins := module(t, "echo", wasmEcho), module(t, "spins", wasmSpins)
	forever, shortly := d.submit(spins, `"params":null`), d.submit(spins, `"params":null,"timeout":"200ms"`)
	for n := range 20 {
		want := fmt.Sprintf("map[n:%d text:%s]", n, strings.Repeat("x", 3000))
		r := d.result(d.submit(echo, fmt.Sprintf(`"params":{"n":%d,"text":%q},"env":{"A":"b"}`, n, strings.Repeat("x", 3000))))
		if fmt.Sprint(r["data"]) != want {
			t.Fatalf("task %d: %v", n, r)
		}
	}
	if r := d.result(shortly); r["status"] != "timed_out" {
		t.Errorf("%v", r)
	}
	if status, _ := d.call("DELETE", "/v1/tasks/"+forever, ""); status >= 300 {
		t.Errorf("cancel: %d", status)
	}
	if r := d.result(forever); r["status"] != "cancelled" {
		t.Errorf("%v", r)
	}
	if log := d.log.String(); strings.Contains(log, "worker is lost") || strings.Contains(log, "worker.lost") {
		t.Errorf("a module has cost its worker:\n%s", log)
	}
}
