package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/schedule"
	"cpulb/daemon/task"
	"cpulb/internal/alloctest"
	"cpulb/plugins/supervisor"
)

func TestPackagedFileSaysTheBuiltInDefault(t *testing.T) {
	got, err := Load("../../config.hcl")
	if err != nil {
		t.Fatal(err)
	}
	if want := Default(); !reflect.DeepEqual(got, want) {
		t.Errorf("config.hcl says\n%+v\nthe built-in default is\n%+v", got, want)
	}
}

// The file is a place where every key can be seen, be it as a comment.
func TestPackagedFileShowsEveryKey(t *testing.T) {
	text, err := os.ReadFile("../../config.hcl")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range newDecoder("").blocks() {
		for _, k := range b.keys("x") {
			shown := func(before string) bool { return strings.Contains(string(text), "\n"+before+k.name+" ") }
			if !shown("  ") && !shown("  # ") && !shown("#   ") {
				t.Errorf("config.hcl does not show %s.%s", b.name, k.name)
			}
		}
	}
}

func TestEmptyFileIsTheDefault(t *testing.T) {
	if got, err := decode("x.hcl", nil); err != nil || !reflect.DeepEqual(got, Default()) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestKeysThatAreLeftOutKeepTheirDefault(t *testing.T) {
	got, err := decode("x.hcl", []byte(`limits { body_size = "64KiB" }`))
	want := Default()
	want.Limits.BodyBytes = 64 << 10
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestEveryKeyIsTaken(t *testing.T) {
	got, err := Load("testdata/every_key.hcl")
	if err != nil {
		t.Fatal(err)
	}
	probe, err := task.Decode([]byte(`{"script_path": "/srv/check.py", "function": "run", "params": [1], "timeout": "3s"}`))
	if err != nil {
		t.Fatal(err)
	}
	probe.ID = got.Executors[0].Probe.ID
	want := &Config{
		Socket:  Socket{Path: "/tmp/x.sock", Mode: 0o600, Group: "users"},
		Queue:   Queue{MaxTasks: 7, MaxBytes: 8 << 30, Policy: "drop_oldest", KeyLimit: 2, KeyLimits: map[string]int{"database": 4}},
		Results: Results{TTL: 90 * time.Second, Max: 8, MaxBytes: 9},
		Journal: Journal{Sync: "interval", Interval: 250 * time.Millisecond},
		Executors: []Executor{
			{Name: "py", Command: "/opt/py", SHA256: strings.Repeat("ab", 32), Trial: Trial{0.025, 90 * time.Second, probe}, Environment: Environment{Env: map[string]string{"A": "b", "C": ""}}},
			{Name: "other", Command: "other", Trial: Trial{CanaryFor: DefaultCanaryFor}},
		},
		Pools: []Pool{
			{Name: "all", Executor: "py", TaskTypes: []string{"io_bound", "cpu_bound"}, Workers: 3, MinWorkers: 2, IdleTimeout: 7 * time.Second, Threads: 4, Policy: "power_of_two", Cores: "0-1,3",
				Reserve: 1, Spare: 2, Relief: 3, Window: 2 * time.Millisecond, MaxTasks: 9, MaxAge: 2 * time.Hour, MaxRSSBytes: 3 << 30, MemoryBytes: 4 << 30, Nice: -5,
				IOPriority: supervisor.IOPriority{Class: supervisor.IOBestEffort, Level: 6}, OOMScoreAdj: -7,
				Users: []string{"root"}, Groups: []string{"0"}},
			{Name: "least", Executor: "other", TaskTypes: []string{"cpu_bound"}, MinWorkers: 1, IdleTimeout: time.Minute, Relief: 2, Window: time.Millisecond, Threads: 1, Pin: true, Policy: "least_loaded"},
		},
		Limits: Limits{BodyBytes: 1 << 30, InFlightBytes: 4 << 30, Connections: 5, Watches: 6, ResultBytes: 2 << 20, OutputBytes: 12345, EventBytes: 77,
			StartTimeout: time.Second, CancelGrace: 0, FenceTimeout: 5 * time.Second, GILStall: 10 * time.Second, DrainTimeout: 90 * time.Minute},
		Schedules: []Schedule{{Name: "nightly", Owner: "root",
			Options: schedule.Options{Name: "nightly", Cron: "30 3 * * *", TimeZone: "UTC", Overlap: "queue", CatchUp: "all"},
			Task: task.Task{ScriptPath: "/srv/x.py", Function: "run", Params: []byte(`{"days":1}`), Type: task.IOBound, Pool: "all", Priority: 3,
				Timeout: task.Duration(time.Minute), Labels: map[string]string{"a": "b"},
				Extra: &task.Extras{Executor: "py", MaxRetries: 2, RetryBackoff: task.Duration(time.Second), ConcurrencyKey: "k", OnWorkerLost: task.Fail,
					Durable: new(bool), ResultTTL: task.Duration(time.Hour)}}}},
		Access: Access{Users: []string{"a"}, Groups: []string{"b"}, AdminUsers: []string{"c"}, AdminGroups: []string{"d"},
			ScriptDirs: []string{"/srv"}, Source: true},
		Log:     Log{Level: "debug", Format: "json"},
		Tracing: Tracing{Endpoint: "https://collector:4318/otlp", Protocol: "http/protobuf", Sample: 0.125},
	}
	if !reflect.DeepEqual(placeless(got), want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

// placeless forgets where the schedules are in the file.
func placeless(c *Config) *Config {
	for i := range c.Schedules {
		c.Schedules[i].at = nil
	}
	return c
}

func TestMissingFileIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.hcl")
	if _, err := Load(path); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}

func TestFileThatCannotBeAConfigurationIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "large.hcl")
	if err := os.WriteFile(path, make([]byte, maxBytes+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "larger than 1 MiB") {
		t.Errorf("got %v", err)
	}
}

// Each error names file, line and column, and what is allowed.
func TestWhatIsWrongIsNamedWithItsPlaceAndWhatIsAllowed(t *testing.T) {
	const pool = `pool "p" {
  executor = "python"
  task_types = ["cpu_bound"]
`
	for _, c := range []struct{ name, text, want string }{
		{"unknown key", "queue {\n  size = 1\n}", `x.hcl:2:3: unknown key "size" in queue (allowed: max_tasks, max_bytes, `},
		{"unknown block", "\nqueues {\n}", `x.hcl:2:1: unknown block "queues" (allowed: socket, queue, results, journal, executor, pool, limits, schedule, access, log, tracing)`},
		{"key outside", "max_tasks = 1", `x.hcl:1:1: key "max_tasks" stands outside of any block (allowed: socket,`},
		{"block inside", "queue {\n  x {\n  }\n}", `x.hcl:2:3: queue has no block "x" (allowed: max_tasks, max_bytes, `},
		{"second block", "queue {\n}\nqueue {\n}", `x.hcl:3:1: a second block queue; the first is on line 1`},
		{"name not wanted", `queue "x" {}`, `x.hcl:1:7: block queue takes no name`},
		{"name wanted", `pool {}`, `x.hcl:1:1: block pool takes one name, as in: pool "a-name"`},
		{"bad name", `pool "../up" {}`, `x.hcl:1:6: pool name "../up" must be 1 to 32 of a-z`},
		{"second pool", pool + "}\n" + pool + "}", `x.hcl:5:1: a second block pool p; the first is on line 1`},
		{"lacking keys", `pool "p" {}`, `x.hcl:1:1: pool p lacks the key "executor"`},
		{"no such executor", "pool \"p\" {\n  executor = \"ruby\"\n  task_types = [\"cpu_bound\"]\n}",
			`x.hcl:2:14: pool "p": no executor "ruby" is configured (allowed: python)`},
		{"built-in pool without its executor", "executor \"ruby\" {\n  command = \"x\"\n}",
			`pool "cpu": no executor "python" is configured; the pool is a built-in one, as the file has no pool block (allowed: ruby)`},
		{"task type", "pool \"p\" {\n  executor = \"python\"\n  task_types = [\"gpu\"]\n}",
			`x.hcl:3:16: pool.task_types: must be a list, none twice, of: cpu_bound, io_bound`},
		{"task type twice", "pool \"p\" {\n  executor = \"python\"\n  task_types = [\"io_bound\", \"io_bound\"]\n}", `must be a list, none twice`},
		{"no task type", "pool \"p\" {\n  executor = \"python\"\n  task_types = []\n}", `must be a list, none twice`},
		{"threads", pool + "  threads = 0\n}", `x.hcl:4:13: pool.threads: must be a whole number from 1 to 1024`},
		{"half a thread", pool + "  threads = 1.5\n}", `pool.threads: must be a whole number`},
		{"workers", pool + "  workers = \"many\"\n}", `pool.workers: must be "auto", one for each core, or a whole number from 1 to 1024`},
		{"no workers", pool + "  workers = 0\n}", `pool.workers: must be "auto"`},
		{"pin", pool + "  pin = \"yes\"\n}", `pool.pin: must be true or false`},
		{"cores", pool + "  cores = \"3-1\"\n}", `pool.cores: "3-1" is not a list of CPUs such as "0-3,8"`},
		{"cores type", pool + "  cores = 3\n}", `pool.cores: must be "auto" or a list of CPUs`},
		{"mode", `socket { mode = "0999" }`, `socket.mode: "0999" must be a string of octal digits such as "0660"`},
		{"mode as number", `socket { mode = 0660 }`, `socket.mode: must be a string of octal digits`},
		{"mode that locks the owner out", `socket { mode = "0066" }`, `that lets the owner read and write`},
		{"relative path", `socket { path = "x.sock" }`, `socket.path: "x.sock" must be an absolute path of at most 107 bytes`},
		{"long path", `socket { path = "/` + strings.Repeat("x", 107) + `" }`, `of at most 107 bytes`},
		{"size", `limits { body_size = "64kb" }`, `limits.body_size: must be a number of bytes or a size such as "64KiB"`},
		{"no size", `limits { body_size = 0 }`, `limits.body_size: must be`},
		{"size that overflows", `limits { body_size = "17179869185GiB" }`, `from 1 to "1GiB"`},
		{"more output than a result's record holds", `limits { output_size = "65MiB" }`, `limits.output_size: must be a number of bytes or a size such as "64KiB", "128MiB" or "1GiB", from 1 to "64MiB"`},
		{"duration", `limits { start_timeout = "soon" }`, `limits.start_timeout: "soon" must be a duration above zero such as "500ms"`},
		{"no duration", `limits { start_timeout = "0s" }`, `"0s" must be a duration above zero`},
		{"size said twice", `pool "p" {
			workers = 2
			max_workers = 3
		}`, `leave workers out`},
		{"least above most", `pool "p" {
			min_workers = 4
			max_workers = 3
		}`, `max_workers is 3, less than min_workers, 4`},
		{"callers' users in one process", `pool "p" {
			user = "caller"
			isolation = "process"
			max_tasks = 5
		}`, `x.hcl:4:16: pool "p": user = "caller" takes a process for each task; leave max_tasks out`},
		{"callers' users among threads", `pool "p" { user = "caller" }`, `user = "caller" takes isolation = "process"`},
		{"a group for callers", `pool "p" {
			isolation = "process"
			user = "caller"
			group = "users"
		}`, `takes no group`},
		{"a group for nobody", `pool "p" { group = "users" }`, `group takes user`},
		{"CPU time of threads", `pool "p" { cpu_time = "1s" }`, `cpu_time takes isolation = "process"`},
		{"a private /tmp of threads", `pool "p" { private_tmp = true }`, `private_tmp takes isolation = "process"`},
		{"no network for threads", `pool "p" { network = false }`, `network = false takes isolation = "process"`},
		{"read-only threads", `pool "p" { read_only = true }`, `read_only takes isolation = "process"`},
		{"system calls of threads", `pool "p" { system_calls = "scripts" }`, `system_calls takes isolation = "process"`},
		{"an unknown set of system calls", `pool "p" { system_calls = "most" }`, `"most" is not one of`},
		{"a loop of processes", `pool "p" {
			isolation = "process"
			async_concurrency = 5
		}`, `leave async_concurrency out`},
		{"isolation", `pool "p" { isolation = "vm" }`, `pool.isolation: "vm" is not one of: thread, process`},
		{"I/O priority without level", `pool "p" { ionice = "best-effort" }`, `pool.ionice: must be "none", "idle", or`},
		{"negative bound", `pool "p" { memory = -1 }`, `or 0 for no bound`},
		{"nice out of range", `pool "p" { nice = 20 }`, `pool.nice: must be a whole number from -20 to 19`},
		{"negative duration", `limits { cancel_grace = "-1s" }`, `not negative`},
		{"duration without unit", `limits { cancel_grace = 30 }`, `limits.cancel_grace: must be a duration`},
		{"endpoint", `tracing { endpoint = "collector:4317" }`, `x.hcl:1:22: tracing.endpoint: "collector:4317" must be a URL such as "http://127.0.0.1:4317"`},
		{"endpoint with a password", `tracing { endpoint = "http://a:b@collector" }`, `its credentials are in OTEL_EXPORTER_OTLP_HEADERS`},
		{"protocol", `tracing { protocol = "udp" }`, `tracing.protocol: "udp" is not one of: grpc, http/protobuf`},
		{"sample", `tracing { sample = "101%" }`, `tracing.sample: "101%" must be a part of all such as "10%", from "0%" to "100%"`},
		{"sample without unit", `tracing { sample = 0.5 }`, `must be a part of all such as "10%"`},
		{"level", `log { level = "loud" }`, `x.hcl:1:15: log.level: "loud" is not one of: trace, debug, info, warn, error`},
		{"null", `log { level = null }`, `log.level: must be a string`},
		{"command", `executor "python" { command = "bin/x" }`, `executor.command: "bin/x" must be a file name`},
		{"canary", "executor \"python\" {\n  command = \"x\"\n  canary = \"51%\"\n}", `executor.canary: "51%" must be a share of the tasks such as "10%", at most "50%"`},
		{"canary for", "executor \"python\" {\n  command = \"x\"\n  canary_for = \"0s\"\n}", `executor.canary_for: "0s" must be`},
		{"probe", "executor \"python\" {\n  command = \"x\"\n  probe = { script_path = \"/x\", pool = \"p\" }\n}", `executor.probe: has no field "pool"`},
		{"probe script", "executor \"python\" {\n  command = \"x\"\n  probe = { function = \"x\" }\n}", `executor.probe: script_path: `},
		{"sha256", "executor \"python\" {\n  command = \"x\"\n  sha256 = \"abc\"\n}", `executor.sha256: "abc" must be 64 hexadecimal digits`},
		{"env", "executor \"python\" {\n  command = \"x\"\n  env = { A = 1 }\n}", `executor.env: variable "A" must have a string as its value`},
		{"settings type", "executor \"python\" {\n  command = \"x\"\n  settings = [1]\n}", `executor.settings: must be an object such as`},
		{"setting's form", `pool "p" { settings = { a = [1] } }`, `pool.settings: "a" must be a string, a number, true or false, a list of strings or an object of strings`},
		{"setting null", `pool "p" { settings = { a = null } }`, `pool.settings: "a" must be`},
		{"setting of the pool", `pool "p" { settings = { memory = "1GiB" } }`, "pool.settings: memory must not be here: it is a key of the pool block"},
		{"setting with a key", `pool "p" { settings = { venv = "/v" } }`, "pool.settings: venv must not be here: it has a key of its own"},
		{"env type", "executor \"python\" {\n  command = \"x\"\n  env = \"A=1\"\n}", `executor.env: must be an object of strings`},
		{"variable", `log { level = info }`, `x.hcl:1:15: Variables not allowed`},
		{"syntax", "log {\n  level = \n}", `x.hcl:2:11: Invalid expression`},
		{"not text", "\xff\xfe", `x.hcl:1:1: `},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := decode("x.hcl", []byte(c.text))
			if err == nil || got != nil {
				t.Fatalf("accepted as %+v", got)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
			if wrong, ok := errors.AsType[*Error](err); !ok || wrong.File != "x.hcl" || wrong.Line < 1 {
				t.Errorf("not a Error with its place: %#v", err)
			}
		})
	}
}

func TestNoErrorRepeatsWhatMayBeSecret(t *testing.T) {
	for _, endpoint := range []string{"http://user:pw123@collector", "http://user:pw 123@collector", "user:pw123@collector:4317", "https://collector/?token=pw123", "https://collector/#pw123"} {
		_, err := decode("x.hcl", fmt.Appendf(nil, "tracing { endpoint = %q }", endpoint))
		if err == nil || strings.Contains(err.Error(), "pw") || !strings.Contains(err.Error(), "OTEL_EXPORTER_OTLP_HEADERS") {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
}

func TestAllErrorsAreReportedInTheFilesOrder(t *testing.T) {
	_, err := decode("x.hcl", []byte("log {\n  level = 1\n  colour = 2\n}\nqueue {\n  max_tasks = \"x\"\n}\nno {\n}"))
	var lines []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		lines = append(lines, line[:len("x.hcl:1:")])
	}
	if want := []string{"x.hcl:2:", "x.hcl:3:", "x.hcl:6:", "x.hcl:8:"}; !reflect.DeepEqual(lines, want) {
		t.Errorf("got %v", err)
	}
}

// Whatever the bytes are, the answer is a configuration that keeps the rules or
// errors with their places, never a panic.
func FuzzDecode(f *testing.F) {
	for _, path := range []string{"../../config.hcl", "testdata/every_key.hcl"} {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`limits { body_size = 1e99999 }`))
	f.Add([]byte(`pool "p" { task_types = [for x in ["cpu_bound"] : x] }`))
	f.Fuzz(func(t *testing.T, text []byte) {
		alloctest.Within(t, 1<<20+(4<<10)*len(text), func() { _, _ = decode("x.hcl", text) })
		c, err := decode("x.hcl", text)
		if err != nil {
			if wrong, ok := errors.AsType[*Error](err); !ok || wrong.Line < 1 || wrong.Problem == "" || c != nil {
				t.Fatalf("%#v with %#v", c, err)
			}
			return
		}
		if len(c.Pools) == 0 || c.Limits.BodyBytes < 1 || c.Limits.StartTimeout <= 0 || c.Socket.Mode > 0o777 {
			t.Fatalf("accepted %+v", c)
		}
		for _, p := range c.Pools {
			if p.Threads < 1 || p.Workers < 0 || len(p.TaskTypes) == 0 || !validName(p.Name) || p.Executor == "" {
				t.Fatalf("accepted %+v", p)
			}
		}
	})
}
