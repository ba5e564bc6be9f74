package part

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"cpulb/bench/cpulbd"
	"cpulb/bench/stats"
	"cpulb/daemon/task"
	"cpulb/ipc/client"
)

// executorsConfig has a pool of each kind.
const executorsConfig = `executor "python" { command = "cpulb-python" }
executor "exec" { command = "cpulb-exec" }
executor "wasm" { command = "cpulb-wasm" }
pool "thread" {
  executor   = "python"
  task_types = ["cpu_bound"]
  workers    = 1
}
pool "process" {
  executor   = "python"
  task_types = ["cpu_bound"]
  workers    = 1
  isolation  = "process"
}
pool "exec" {
  executor   = "exec"
  task_types = ["cpu_bound"]
  workers    = 1
}
pool "wasm" {
  executor   = "wasm"
  task_types = ["cpu_bound"]
  workers    = 1
}
pool "wasm-process" {
  executor   = "wasm"
  task_types = ["cpu_bound"]
  workers    = 1
  isolation  = "process"
}
journal { sync = "off" }
`

// The rows of no-ops by the executors of programs and of modules.
const (
	ExecBinary  = "cpulb-exec, /bin/true"
	ExecScript  = "cpulb-exec, a bash script"
	Wasm        = "cpulb-wasm, an empty module"
	WasmProcess = "cpulb-wasm, an empty module, its own process"
)

// emptyModule is (module (func (export "_start"))).
const emptyModule = "\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x07\x0a\x01\x06_start\x00\x00\x0a\x04\x01\x02\x00\x0b"

// executors measures a no-op by each executor, one after the other, in turns: the ratios are
// of one run.
func (b *Bench) executors(ctx context.Context) error {
	home, err := os.MkdirTemp(b.Dir, "executors-")
	if err != nil {
		return err
	}
	config, script := filepath.Join(home, "config.hcl"), filepath.Join(b.Dir, "noop.sh")
	if err := os.WriteFile(config, []byte(executorsConfig), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(script, []byte("#!/bin/bash\n"), 0o700); err != nil {
		return err
	}
	module := filepath.Join(b.Dir, "noop.wasm")
	if err := os.WriteFile(module, []byte(emptyModule), 0o600); err != nil {
		return err
	}
	d, err := cpulbd.StartFile(ctx, b.Bin, home, config)
	if err != nil {
		return err
	}
	defer d.Stop()
	kinds := []struct{ name, pool, path, function string }{
		{Thread, "thread", filepath.Join(b.Drivers, "works.py"), "noop"},
		{Process, "process", filepath.Join(b.Drivers, "works.py"), "noop"},
		{ExecBinary, "exec", "/bin/true", "main"},
		{ExecScript, "exec", script, "main"},
		{Wasm, "wasm", module, "main"},
		{WasmProcess, "wasm-process", module, "main"},
	}
	took, cpu := map[string]stats.Sample{}, map[string]stats.Sample{}
	c := client.New(d.Socket)
	for range pick(b, 200, 50) {
		for _, k := range kinds {
			t := &task.Task{ID: task.NewID(), Pool: k.pool, ScriptPath: k.path, Function: k.function, Params: []byte("1"), Type: task.CPUBound, Priority: task.DefaultPriority}
			began := time.Now()
			r, err := c.Run(ctx, t)
			if err == nil && r.Status != task.Completed {
				err = fmt.Errorf("a no-op of %s ended %s: %+v", k.name, r.Status, r.Error)
			}
			if err != nil {
				return err
			}
			took[k.name] = append(took[k.name], float64(time.Since(began).Microseconds()))
			cpu[k.name] = append(cpu[k.name], float64(r.CPUSeconds)*1e6)
		}
	}
	for _, k := range kinds {
		b.Results.Add("p50 executors", k.name, took[k.name].Percentile(50))
		b.Results.Add("p99 executors", k.name, took[k.name].Percentile(99))
		b.Results.Add("cpu executors", k.name, cpu[k.name].Percentile(50))
	}
	return nil
}
