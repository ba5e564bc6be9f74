package arch_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "cpulb/"

// arrows says which packages of this module each package may import. They point
// down only: what runs a program is on top, what everyone speaks of at the bottom.
var arrows = map[string][]string{
	"cmd/cpulb-conformance": {"cmd/version", "plugins/conformance", "plugins/supervisor"},
	"examples/executors/go": {"plugins"},

	"cmd/cpulb": {"cmd/cpulb/completion", "cmd/cpulb/dashboard", "cmd/cpulb/doctor", "cmd/cpulb/manual", "cmd/cpulb/printable", "cmd/cpulb/top", "cmd/version",
		"daemon/api", "daemon/task", "daemon/tracing", "ipc/client"},
	"cmd/cpulb/doctor": {"daemon/api", "daemon/task", "ipc/client"},
	"cmd/cpulb/top":    {"cmd/cpulb/printable", "daemon/api", "daemon/task"},

	"cmd/cpulbd":          {"cmd/version", "daemon", "daemon/api", "daemon/config", "daemon/tracing", "daemon/tracing/otlp", "internal/trust", "ipc", "systemd"},
	"cmd/cpulb-python":    {"cmd/version", "plugins", "plugins/python"},
	"cmd/cpulb-wasm":      {"cmd/version", "plugins", "plugins/wasm", "plugins/wasm/sandbox"},
	"cmd/cpulb-exec":      {"cmd/version", "plugins", "plugins/exec"},
	"cmd/cpulb/dashboard": {"daemon/api", "daemon/task", "ipc/client"},
	"bench":               {"bench/part", "bench/report", "bench/result"},
	"bench/part":          {"bench/cpulbd", "bench/proc", "bench/result", "bench/stats", "bench/subject", "daemon/task", "ipc/client"},
	"bench/memory":        {"bench/cpulbd", "daemon/api", "daemon/task", "ipc/client"},
	"bench/report":        {"bench/part", "bench/plot", "bench/result", "bench/stats"},
	"bench/result":        {"bench/stats"},
	"bench/subject":       {"bench/proc"},
	"bench/goclient":      {"bench/subject", "daemon/task", "ipc/client"},
	"bench/cpulbd":        {"internal/owndaemon"},
	"bench/plot":          {},
	"bench/proc":          {},
	"bench/stats":         {},
	"bench/balancing":     {"balancer/simulation", "bench/plot"},
	"ipc":                 {"daemon/access", "daemon/api", "daemon/task", "internal/outbox", "internal/rawio", "internal/share"},
	"ipc/client":          {"daemon/api", "daemon/task", "internal/outbox", "internal/rawio"},
	"ipc/ipctest":         {"daemon/access", "daemon/api", "daemon/task", "ipc"},
	"daemon": {"daemon/access", "daemon/api", "daemon/config", "daemon/effects", "daemon/fleet", "daemon/journal", "daemon/ledger", "daemon/queue",
		"daemon/schedule", "daemon/swapfile", "daemon/task", "daemon/tracing", "internal/share", "internal/trust", "plugins", "plugins/cgroup", "plugins/supervisor"},
	"daemon/api":     {"daemon/task"},
	"daemon/config":  {"balancer", "balancer/topology", "daemon/schedule", "daemon/task", "daemon/tracing", "plugins", "plugins/supervisor"},
	"daemon/effects": {"daemon/task", "daemon/tracing", "plugins"},
	// Which spans there are is decided in tracing; of the SDK that sends them only the daemon's program knows.
	"daemon/tracing":      {"daemon/task"},
	"daemon/tracing/otlp": {"daemon/task", "daemon/tracing"},
	"daemon/fleet": {"balancer", "balancer/topology", "daemon/canary", "daemon/api", "daemon/config", "daemon/effects", "daemon/fleet/lifecycle", "daemon/task",
		"internal/procfs", "internal/share", "plugins", "plugins/supervisor"},
	"daemon/daemontest":          {"daemon", "daemon/access", "daemon/api", "daemon/config", "daemon/fleet/fleettest", "daemon/journal/journaltest", "daemon/task", "daemon/tracing", "plugins/supervisor"},
	"daemon/fleet/fleettest":     {"daemon/fleet", "daemon/task", "plugins", "plugins/supervisor"},
	"daemon/journal":             {"daemon/task", "internal/table"},
	"daemon/journal/journaltest": {},
	"daemon/ledger":              {"daemon/api", "daemon/queue", "daemon/task", "internal/share", "internal/table"},
	"daemon/queue":               {"internal/share"},
	"plugins/supervisor":         {"internal/outbox", "internal/procfs", "plugins", "plugins/cgroup", "plugins/proto", "plugins/reaper"},
	"plugins/python":             {"daemon/task", "embedpy", "plugins", "plugins/proto"},
	"plugins/exec":               {"daemon/task", "plugins", "plugins/program", "plugins/reaper"},
	"plugins/wasm":               {"daemon/task", "plugins", "plugins/program", "plugins/reaper", "plugins/wasm/sandbox"},
	"plugins/program":            {"daemon/task", "plugins"},
	"plugins/conformance":        {"daemon/task", "plugins", "plugins/reaper", "plugins/supervisor"},
	"plugins/executortest":       {"daemon/task", "plugins", "plugins/conformance", "plugins/proto", "plugins/supervisor"},
	"plugins":                    {"daemon/task", "internal/outbox", "internal/procfs", "internal/rawio", "plugins/proto", "plugins/reaper"},
	"internal/outbox":            {"internal/rawio"},
	"balancer/simulation":        {"balancer"},

	"plugins/executortest/impostor": {"plugins/proto"},

	// Leaves.
	"cmd/adversary":          {},
	"cmd/arch":               {},
	"cmd/cpulb/completion":   {},
	"cmd/cpulb/manual":       {},
	"cmd/cpulb/printable":    {},
	"cmd/e2e":                {},
	"cmd/version":            {},
	"balancer":               {},
	"balancer/topology":      {},
	"daemon/access":          {},
	"daemon/canary":          {},
	"examples/executors":     {},
	"daemon/swapfile":        {},
	"daemon/schedule":        {},
	"daemon/task":            {},
	"embedpy":                {},
	"plugins/cgroup":         {},
	"daemon/fleet/lifecycle": {},
	"internal/alloctest":     {},
	"internal/procfs":        {},
	"internal/owndaemon":     {},
	"internal/programs":      {},
	"internal/share":         {},
	"internal/table":         {},
	"internal/trust":         {},
	"packaging":              {},
	"plugins/reaper":         {},
	"internal/rawio":         {},
	"plugins/proto":          {},
	"plugins/wasm/sandbox":   {},
	"systemd":                {},
}

// forTests is what a package's tests may import beyond that.
var forTests = map[string][]string{
	"examples/executors/go": {"plugins/conformance", "plugins/executortest", "plugins/supervisor"},
	"cmd/cpulb-conformance": {"internal/programs", "plugins", "plugins/executortest"},

	"cmd/adversary":        {"daemon/config", "internal/owndaemon", "internal/programs"},
	"cmd/e2e":              {"daemon", "daemon/api", "daemon/task", "internal/owndaemon", "internal/programs", "ipc/client", "plugins", "plugins/executortest/impostor"},
	"cmd/cpulbd":           {"internal/programs"},
	"examples/executors":   {"daemon/task", "internal/owndaemon", "internal/programs", "ipc/client", "plugins", "plugins/executortest", "plugins/supervisor"},
	"systemd":              {"internal/programs"},
	"daemon":               {"daemon/daemontest", "daemon/fleet/fleettest", "plugins"},
	"daemon/fleet":         {"daemon/daemontest", "daemon/fleet/fleettest"},
	"cmd/cpulb":            {"daemon/access", "internal/owndaemon", "internal/programs", "ipc", "ipc/ipctest"},
	"cmd/cpulb/dashboard":  {"daemon/access", "internal/owndaemon", "internal/programs", "ipc", "ipc/ipctest"},
	"ipc":                  {"daemon/config", "internal/alloctest", "ipc/ipctest"},
	"ipc/client":           {"internal/alloctest", "ipc", "ipc/ipctest"},
	"plugins/python":       {"plugins/executortest", "plugins/supervisor"},
	"plugins/wasm":         {"internal/programs", "plugins/executortest", "plugins/supervisor"},
	"plugins/exec":         {"internal/programs", "plugins/executortest", "plugins/supervisor"},
	"plugins/supervisor":   {"plugins/executortest", "plugins/executortest/impostor", "daemon/task"},
	"plugins/executortest": {"internal/programs"},
	"plugins":              {"internal/alloctest"},
	"daemon/task":          {"internal/alloctest"},
	"daemon/config":        {"internal/alloctest"},
	"daemon/journal":       {"daemon/journal/journaltest", "internal/alloctest"},
	"daemon/schedule":      {"internal/alloctest"},
}

// imported is what `go list -json` tells of one package.
type imported struct {
	ImportPath                         string
	Standard                           bool
	Imports, TestImports, XTestImports []string
	CgoFiles                           []string
}

// list asks the go command about packages.
func list(t *testing.T, args ...string) []imported {
	t.Helper()
	c := exec.Command("go", append([]string{"list", "-json=ImportPath,Standard,Imports,TestImports,XTestImports,CgoFiles"}, args...)...)
	c.Dir = "../.."
	c.Env = append(os.Environ(), "CGO_ENABLED=1") // else the cgo files are not seen
	c.Stderr = os.Stderr
	text, err := c.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []imported
	for dec := json.NewDecoder(strings.NewReader(string(text))); ; {
		var p imported
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		all = append(all, p)
	}
}

// against returns what of all breaks the arrows.
func against(all []imported) []string {
	var wrong []string
	for _, p := range all {
		name := strings.TrimPrefix(p.ImportPath, module)
		may, known := arrows[name]
		if !known {
			wrong = append(wrong, name+" has no place among the arrows yet")
			continue
		}
		tests := slices.Concat(may, forTests[name], []string{name})
		wrong = append(wrong, beyond(name, p.Imports, may)...)
		wrong = append(wrong, beyond("a test of "+name, slices.Concat(p.TestImports, p.XTestImports), tests)...)
		if len(p.CgoFiles) > 0 && name != "embedpy" {
			wrong = append(wrong, name+" uses cgo, which only embedpy may")
		}
	}
	return wrong
}

func beyond(who string, imports, may []string) []string {
	var wrong []string
	for _, path := range imports {
		if name, ours := strings.CutPrefix(path, module); ours && !slices.Contains(may, name) {
			wrong = append(wrong, fmt.Sprintf("%s imports %s, but may only import %v", who, name, may))
		}
	}
	return wrong
}

// linked returns what of deps, a program's packages, a program without cgo can't
// have.
func linked(deps []imported) []string {
	var wrong []string
	for _, p := range deps {
		// The standard library does without where cgo is off.
		if len(p.CgoFiles) > 0 && !p.Standard || p.ImportPath == module+"embedpy" {
			wrong = append(wrong, p.ImportPath)
		}
	}
	return wrong
}

func TestArrowsPointDownOnly(t *testing.T) {
	t.Parallel()
	for _, problem := range against(list(t, "./...")) {
		t.Error(problem)
	}
	if loop := cycle(); loop != nil {
		t.Errorf("the arrows themselves go round: %v", loop)
	}
}

func TestEveryPackageHasItsPlaceInTheArchitecture(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range arrows {
		row := regexp.MustCompile("(?m)^\\|[^|]*`" + name + "`[^|]*\\|")
		if !row.Match(page) && !strings.HasPrefix(name, "bench/") {
			t.Errorf("docs/architecture.md does not say what %s is", name)
		}
	}
}

func TestDaemonAndCommandLineNeverLinkPython(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"./cmd/cpulbd", "./cmd/cpulb"} {
		if wrong := linked(list(t, "-deps", program)); len(wrong) > 0 {
			t.Errorf("%s links %v", program, wrong)
		}
	}
	if len(linked(list(t, "-deps", "./cmd/cpulb-python"))) == 0 {
		t.Error("cpulb-python links no CPython: this test can't see what it looks for")
	}
}

// heavy is what a program that lives for some milliseconds does not start with.
var heavy = regexp.MustCompile(`^(google\.golang\.org/|github\.com/hashicorp/|github\.com/prometheus/|net/http/pprof$|expvar$|cpulb/(daemon|plugins|ipc|balancer)$)`)

// A program that people run is no test binary: its flags, and what it prints, are its own.
// (go-plugin imports testing, for helpers of its own.)
func TestNoProgramUsesTesting(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"./cmd/cpulbd", "./cmd/cpulb", "./cmd/cpulb-conformance", "./cmd/cpulb-python"} {
		for _, p := range list(t, "-deps", program) {
			ours := strings.HasPrefix(p.ImportPath, module)
			if ours && slices.Contains(p.Imports, "testing") || program == "./cmd/cpulb" && p.ImportPath == "testing" {
				t.Errorf("%s links package testing, by %s", program, p.ImportPath)
			}
		}
	}
}

func TestTheCommandLineStartsLight(t *testing.T) {
	t.Parallel()
	for _, p := range list(t, "-deps", "./cmd/cpulb") {
		if heavy.MatchString(p.ImportPath) {
			t.Errorf("cmd/cpulb links %s", p.ImportPath)
		}
	}
	if !slices.ContainsFunc(list(t, "-deps", "./cmd/cpulbd"), func(p imported) bool { return heavy.MatchString(p.ImportPath) }) {
		t.Error("cmd/cpulbd links nothing heavy: this test can't see what it looks for")
	}
}

// pure are the packages that have no lock, no goroutine and do no I/O: their owner
// serialises all calls and says what time it is.
var pure = []string{"balancer", "daemon/api", "daemon/canary", "daemon/fleet/lifecycle", "daemon/ledger", "daemon/queue", "daemon/schedule"}

// impure are the packages of the standard library that these do without.
var impure = regexp.MustCompile(`^(context|io|io/.*|log|log/.*|net|net/.*|os|os/.*|sync|sync/.*|syscall|testing)$`)

func TestPurePackagesAreSo(t *testing.T) {
	for _, p := range list(t, "./...") {
		if !slices.Contains(pure, strings.TrimPrefix(p.ImportPath, module)) {
			continue
		}
		for _, path := range p.Imports {
			if impure.MatchString(path) {
				t.Errorf("%s imports %s", p.ImportPath, path)
			}
		}
	}
	if !impure.MatchString("os") || !impure.MatchString("sync/atomic") || impure.MatchString("slices") {
		t.Error("impure packages are not told apart")
	}
}

func TestArrowsAreHeld(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		breaks string
		p      imported
	}{
		{"up", imported{ImportPath: "cpulb/plugins", Imports: []string{"cpulb/daemon"}}},
		{"a leaf with an import", imported{ImportPath: "cpulb/balancer", Imports: []string{"cpulb/daemon/task"}}},
		{"the wire outside of plugins", imported{ImportPath: "cpulb/daemon", Imports: []string{"cpulb/plugins/proto"}}},
		{"in a test", imported{ImportPath: "cpulb/ipc", XTestImports: []string{"cpulb/embedpy"}}},
		{"past the fleet", imported{ImportPath: "cpulb/daemon", Imports: []string{"cpulb/balancer"}}},
		{"the tasks from the fleet", imported{ImportPath: "cpulb/daemon/fleet", Imports: []string{"cpulb/daemon/ledger"}}},
		{"the engine for its types", imported{ImportPath: "cpulb/ipc", Imports: []string{"cpulb/daemon"}}},
		{"cgo", imported{ImportPath: "cpulb/daemon", CgoFiles: []string{"x.go"}}},
		{"a stranger", imported{ImportPath: "cpulb/utils"}},
	} {
		if len(against([]imported{c.p})) != 1 {
			t.Errorf("%s: not noticed", c.breaks)
		}
	}
	fine := imported{ImportPath: "cpulb/daemon", Imports: []string{"fmt", "cpulb/daemon/queue"}, TestImports: []string{"cpulb/daemon"}}
	if wrong := against([]imported{fine}); wrong != nil {
		t.Errorf("refused: %v", wrong)
	}
}

// cycle returns a path in arrows that leads back to where it began, if any.
func cycle() []string {
	done := map[string]bool{}
	var visit func(path []string) []string
	visit = func(path []string) []string {
		name := path[len(path)-1]
		if slices.Contains(path[:len(path)-1], name) {
			return path
		}
		for _, next := range arrows[name] {
			if !done[next] {
				if loop := visit(append(slices.Clone(path), next)); loop != nil {
					return loop
				}
			}
		}
		done[name] = true
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(arrows)) {
		if loop := visit([]string{name}); loop != nil {
			return loop
		}
	}
	return nil
}
