package python

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"cpulb/daemon/task"
	"cpulb/plugins"
)

// Whatever a script does to its process, the next task finds one that is as it should be, and its output is its own.
func TestNoTaskPaysForTheProcessOfAnother(t *testing.T) {
	for _, most := range turnsOfProcesses() {
		// With how many kinds of worker of threads the ways take turns.
		for name, kinds := range map[string]int{"leaves_its_process_unfit.py": 0, "breaks_its_worker.py": 3, "breaks_its_worker_in_no_time.py": 2} {
			t.Run(most+"/"+name, func(t *testing.T) {
				t.Parallel()
				p := openApart(t, map[string]string{"max_tasks": most, "memory": strconv.Itoa(1 << 30), "cpu_time": "1h"})
				var ways []string
				if err := json.Unmarshal(p.run(script(name), `"list"`).Data, &ways); err != nil || len(ways) < 15 {
					t.Fatalf("%v %v", ways, err)
				}
				for i, way := range ways {
					if !itsTurn(i, kinds, kinds+1) {
						continue
					}
					t.Run(way, func(t *testing.T) {
						o := p.run(script(name), strconv.Quote(way))
						t.Logf("it ended %v %+v", o.Status, o.Error)
						wantUnharmed(t, p)
					})
				}
			})
		}
	}
}

// wantUnharmed runs tasks of somebody else.
func wantUnharmed(t *testing.T, p *process) {
	t.Helper()
	dir := t.TempDir()
	for i := range inShort(1, 3) {
		path := filepath.Join(dir, fmt.Sprintf("victim_%d.py", i))
		if err := os.WriteFile(path, []byte(victimApart), 0o600); err != nil {
			t.Fatal(err)
		}
		o := p.run(path, strconv.Itoa(i))
		want := fmt.Sprintf("[%d,true,20,\"child\\n\",[\"out\"]]", i)
		if o.Status != task.Completed || string(o.Data) != want || o.Stdout != "out\n" || o.Stderr != "err\n" {
			t.Errorf("victim %d: %v %s %+v stdout %q stderr %q", i, o.Status, o.Data, o.Error, o.Stdout, o.Stderr)
		}
	}
}

const victimApart = `import os, resource, signal, subprocess, sys, tempfile
def main(params, context):
    print("out", flush=True)
    print("err", file=sys.stderr)
    with tempfile.TemporaryFile() as f:
        f.write(b"x" * 10000)
    many = [os.open("/dev/null", os.O_RDONLY) for i in range(20)]
    for fd in many:
        os.close(fd)
    if sys.stdin.read() or os.getuid() != os.geteuid() or os.nice(0):
        raise ValueError("not as it was")
    said = subprocess.run(["/bin/echo", "child"], stdout=subprocess.PIPE, text=True).stdout
    return [params, signal.getsignal(signal.SIGTERM) is signal.SIG_DFL and not signal.pthread_sigmask(signal.SIG_BLOCK, ()), len(many), said, ["out"]]
`

// A result that is larger than the memory that there is fails its task, once, with words.
func TestAResultBeyondTheMemoryIsTheScriptsFailure(t *testing.T) {
	for _, most := range []string{"3", "1"}[:inShort(1, 2)] {
		p := openApart(t, map[string]string{"max_tasks": most, "memory": strconv.Itoa(128 << 20)})
		for body, doing := range map[string]string{
			`return "x" * (100 << 20)`:                           "writing the result",
			`return ["é" * (10 << 20)] * 20`:                     "writing the result",
			`yield ["x" * (60 << 20)]`:                           "the script ran",
			`raise MemoryError`:                                  "the script ran",
			`kept.append([" " * n for n in range(100, 100000)])`: "the script ran",
		} {
			o := p.run(written(t, "kept = []\ndef main(params, context):\n    "+body+"\n"), "1")
			e := wantError(t, o, task.Failed, "exception")
			if e.Type != "MemoryError" || e.Message != "out of memory (pool.memory) while "+doing || o.Fault != plugins.NoFault {
				t.Errorf("%s: %+v fault %d", body, e, o.Fault)
			}
			wantData(t, p.run(script("returns_params.py"), `"next"`), `"next"`)
		}
	}
}

// What can be put back is, and costs no process; one that has had children, who may go on, has no further task.
func TestAProcessIsKeptWhereItIsAsItWas(t *testing.T) {
	p := openApart(t, map[string]string{"max_tasks": "100"})
	for body, kept := range map[string]bool{
		"pass":                              true,
		"os.environ['SOME'] = 'thing'":      true,
		"os.chdir('/tmp')":                  true,
		"signal.signal(15, signal.SIG_IGN)": true,
		"resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))": true,
		"sys.stdout = sys.stderr":                 true,
		"raise ValueError":                        true,
		"os.waitpid(os.fork() or os._exit(0), 0)": false,
		"subprocess.run(['true'])":                false,
		"os.close(0)":                             false,
		"os.nice(1)":                              false,
	} {
		pid := written(t, "import os\ndef main(params, context):\n    return os.getpid()\n")
		first := pidOf(t, p.run(pid, "1"))
		p.run(written(t, "import os, resource, signal, subprocess, sys\ndef main(params, context):\n    "+body+"\n"), "1")
		if second := pidOf(t, p.run(pid, "1")); (first == second) != kept {
			t.Errorf("%s: %d, then %d", body, first, second)
		}
	}
}

// What a script takes from its own process is not missed where its result and its output are passed on.
func TestATaskEndsAsItShouldWhateverItTakesFromItsProcess(t *testing.T) {
	for _, most := range turnsOfProcesses() {
		p := openApart(t, map[string]string{"max_tasks": most, "memory": strconv.Itoa(256 << 20)})
		for _, body := range []string{
			"print('out')\n    sys.stdout = sys.stderr = None",
			"print('out')\n    del sys.stdout, sys.stderr, sys.__stdout__, sys.stdin",
			"print('out')\n    sys.stdout.close()",
			"print('out', flush=True)\n    os.close(1)",
			"print('out', flush=True)\n    os.dup2(os.open('/dev/null', os.O_WRONLY), 1)",
			"os.dup2(1, 2)\n    print('out', file=sys.stderr)",
			"global kept\n    kept = sys.stdout.detach()\n    kept.write(b'out\\n')",
			"sys.stdout = Wrapped(sys.stdout)\n    print('out')",
			"print('out')\n    vars(json).clear()\n    vars(json.encoder).clear() if hasattr(json, 'encoder') else None",
			"print('out')\n    sys.modules.clear()",
			"print('out')\n    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))",
			"print('out')\n    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))",
			"print('out')\n    resource.setrlimit(resource.RLIMIT_DATA, (1, 1))",
			"print('out')\n    for number in range(1, 65):\n        if number not in (9, 19, 32, 33): signal.signal(number, signal.SIG_IGN)",
		} {
			o := p.run(written(t, takesFromItself+body+"\n    return [1]\n"), "1")
			if o.Status != task.Completed || string(o.Data) != "[1]" || o.Stdout != "out\n" || o.Stderr != "" {
				t.Errorf("max_tasks %s: %s: %v %s %+v stdout %q stderr %q", most, body, o.Status, o.Data, o.Error, o.Stdout, o.Stderr)
			}
		}
		text := "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))\nasync def main(params, context):\n    pass\n"
		o := p.run(written(t, text), "1")
		if e := wantError(t, o, task.Failed, "exception"); e.Type != "OSError" || o.Fault != plugins.NoFault {
			t.Errorf("a script that leaves itself no descriptors: %+v fault %d", e, o.Fault)
		}
	}
}

const takesFromItself = `import json, os, resource, signal, sys

class Wrapped:
    def __init__(self, stream):
        self.write = stream.write

def main(params, context):
    `
