package config

import (
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"cpulb/balancer"
	"cpulb/balancer/topology"
	"cpulb/daemon/task"

	"github.com/zclconf/go-cty/cty"
)

// blockKind is one kind of block, keyKind one key of a block. The tables
// below are the only authority on what a file may say: the decoder, its error
// messages and the test of docs/configuration.md follow them.
type blockKind struct {
	name string
	// named blocks take one name and may come several times.
	named bool
	keys  func(name string) []keyKind
}

type keyKind struct {
	name     string
	required bool
	// set stores the value or says what is allowed instead.
	set func(cty.Value) error
}

func (d *decoder) blocks() []blockKind {
	return []blockKind{
		{name: "socket", keys: d.socketKeys},
		{name: "queue", keys: d.queueKeys},
		{name: "results", keys: d.resultsKeys},
		{name: "journal", keys: d.journalKeys},
		{name: "executor", named: true, keys: d.executorKeys},
		{name: "pool", named: true, keys: d.poolKeys},
		{name: "limits", keys: d.limitsKeys},
		{name: "schedule", named: true, keys: d.scheduleKeys},
		{name: "access", keys: d.accessKeys},
		{name: "log", keys: d.logKeys},
		{name: "tracing", keys: d.tracingKeys},
	}
}

func (d *decoder) socketKeys(string) []keyKind {
	c := &d.config.Socket
	return []keyKind{
		{name: "path", set: setText(&c.Path, socketPath)},
		{name: "mode", set: setMode(&c.Mode)},
		{name: "group", set: setText(&c.Group, nil)},
	}
}

func (d *decoder) queueKeys(string) []keyKind {
	c := &d.config.Queue
	return []keyKind{
		{name: "max_tasks", set: setCount(&c.MaxTasks, 1, 100_000_000)},
		{name: "max_bytes", set: setTotal(&c.MaxBytes)},
		{name: "policy", set: setOneOf(&c.Policy, "reject", "block", "drop_oldest")},
		{name: "concurrency_limit", set: setCount(&c.KeyLimit, 1, 1_000_000)},
		{name: "concurrency_limits", set: setCounts(&c.KeyLimits, 1, 1_000_000)},
	}
}

func (d *decoder) resultsKeys(string) []keyKind {
	c := &d.config.Results
	return []keyKind{
		{name: "ttl", set: setDuration(&c.TTL, true)},
		{name: "max", set: setCount(&c.Max, 1, 100_000_000)},
		{name: "max_bytes", set: setTotal(&c.MaxBytes)},
	}
}

func (d *decoder) journalKeys(string) []keyKind {
	c := &d.config.Journal
	return []keyKind{
		{name: "sync", set: setOneOf(&c.Sync, "group", "interval", "off")},
		{name: "interval", set: setDuration(&c.Interval, true)},
	}
}

func (d *decoder) executorKeys(name string) []keyKind {
	c := &Executor{Name: name}
	d.executors = append(d.executors, c)
	return slices.Concat([]keyKind{
		{name: "command", required: true, set: setText(&c.Command, executorCommand)},
		{name: "sha256", set: setText(&c.SHA256, sha256Hex)},
	}, trialKeys(&c.Trial), environmentKeys(&c.Environment, fmt.Sprintf("executor %q", name)))
}

func environmentKeys(c *Environment, where string) []keyKind {
	return []keyKind{
		{name: "venv", set: setText(&c.Venv, absolutePath)},
		{name: "preload", set: setModules(&c.Preload)},
		{name: "env", set: setEnvironment(&c.Env)},
		{name: "settings", set: setSettings(&c.Own, where)},
	}
}

func (d *decoder) poolKeys(name string) []keyKind {
	c := &Pool{Name: name, MinWorkers: 1, IdleTimeout: time.Minute, Relief: 2, Window: DefaultWindow, Threads: 1, Pin: true, Policy: balancer.LeastLoaded}
	d.pools = append(d.pools, c)
	return append([]keyKind{
		{name: "executor", required: true, set: setText(&c.Executor, notEmpty)},
		{name: "task_types", required: true, set: setSubset(&c.TaskTypes, task.Types())},
		{name: "workers", set: setWorkers(&c.Workers)},
		{name: "min_workers", set: setCount(&c.MinWorkers, 1, 1024)},
		{name: "max_workers", set: setCount(&c.MaxWorkers, 0, 1024)},
		{name: "idle_timeout", set: setDuration(&c.IdleTimeout, true)},
		{name: "spare", set: setCount(&c.Spare, 0, 1024)},
		{name: "relief", set: setCount(&c.Relief, 0, 1024)},
		{name: "window", set: setWindow(&c.Window)},
		{name: "threads", set: setCount(&c.Threads, 1, 1024)},
		{name: "async_concurrency", set: setCount(&c.AsyncConcurrency, 0, 10_000)},
		{name: "pin", set: setBoolean(&c.Pin)},
		{name: "policy", set: setPolicy(&c.Policy)},
		{name: "cores", set: setCores(&c.Cores)},
		{name: "reserve", set: setCount(&c.Reserve, 0, 1024)},
		{name: "max_tasks", set: setCount(&c.MaxTasks, 0, 1_000_000_000)},
		{name: "max_age", set: setDuration(&c.MaxAge, false)},
		{name: "max_rss", set: setBound(&c.MaxRSSBytes)},
		{name: "memory", set: setBound(&c.MemoryBytes)},
		{name: "nice", set: setCount(&c.Nice, -20, 19)},
		{name: "ionice", set: setIOPriority(&c.IOPriority)},
		{name: "oom_score_adj", set: setCount(&c.OOMScoreAdj, -1000, 1000)},
		{name: "users", set: setNames(&c.Users)},
		{name: "groups", set: setNames(&c.Groups)},
		{name: "isolation", set: setIsolation(&c.Processes)},
		{name: "cpu_time", set: setDuration(&c.CPUTime, false)},
		{name: "private_tmp", set: setBoolean(&c.PrivateTmp)},
		{name: "network", set: setNetwork(&c.NoNetwork)},
		{name: "read_only", set: setBoolean(&c.ReadOnly)},
		{name: "system_calls", set: setOneOf(&c.SystemCalls, "", "scripts")},
		{name: "user", set: setText(&c.User, nil)},
		{name: "group", set: setText(&c.Group, nil)},
	}, environmentKeys(&c.Environment, fmt.Sprintf("pool %q", name))...)
}

func (d *decoder) limitsKeys(string) []keyKind {
	c := &d.config.Limits
	return []keyKind{
		{name: "body_size", set: setSize(&c.BodyBytes)},
		{name: "in_flight", set: setTotal(&c.InFlightBytes)},
		{name: "connections", set: setCount(&c.Connections, 1, 1_000_000)},
		{name: "watches", set: setCount(&c.Watches, 1, 100_000_000)},
		{name: "result_size", set: setSize(&c.ResultBytes)},
		{name: "output_size", set: setOutput(&c.OutputBytes)},
		{name: "event_size", set: setSize(&c.EventBytes)},
		{name: "start_timeout", set: setDuration(&c.StartTimeout, true)},
		{name: "cancel_grace", set: setDuration(&c.CancelGrace, false)},
		{name: "fence_timeout", set: setDuration(&c.FenceTimeout, false)},
		{name: "gil_stall", set: setDuration(&c.GILStall, false)},
		{name: "drain_timeout", set: setDuration(&c.DrainTimeout, false)},
	}
}

func (d *decoder) accessKeys(string) []keyKind {
	c := &d.config.Access
	return []keyKind{
		{name: "users", set: setNames(&c.Users)},
		{name: "groups", set: setNames(&c.Groups)},
		{name: "admin_users", set: setNames(&c.AdminUsers)},
		{name: "admin_groups", set: setNames(&c.AdminGroups)},
		{name: "script_dirs", set: setFolders(&c.ScriptDirs)},
		{name: "source", set: setBoolean(&c.Source)},
	}
}

func (d *decoder) logKeys(string) []keyKind {
	c := &d.config.Log
	return []keyKind{
		{name: "level", set: setOneOf(&c.Level, "trace", "debug", "info", "warn", "error")},
		{name: "format", set: setOneOf(&c.Format, "text", "json")},
	}
}

func (d *decoder) tracingKeys(string) []keyKind {
	c := &d.config.Tracing
	return []keyKind{
		{name: "endpoint", set: setText(&c.Endpoint, collectorURL)},
		{name: "protocol", set: setOneOf(&c.Protocol, "grpc", "http/protobuf")},
		{name: "sample", set: setPart(&c.Sample)},
	}
}

// maxSocketPath is what sockaddr_un holds beside its terminating NUL.
const maxSocketPath = 107

func socketPath(s string) error {
	if !filepath.IsAbs(s) || strings.ContainsRune(s, 0) || len(s) > maxSocketPath {
		return fmt.Errorf("%.128q must be an absolute path of at most %d bytes", s, maxSocketPath)
	}
	return nil
}

func executorCommand(s string) error {
	if s == "" || strings.ContainsRune(s, 0) || strings.ContainsRune(s, '/') && !filepath.IsAbs(s) {
		return fmt.Errorf("%.128q must be a file name, which is looked up in the daemon's folder, in ../libexec/cpulb and in PATH, "+
			"or an absolute path", s)
	}
	return nil
}

// CheckProgram returns what is wrong with an executor's command or sha256.
func CheckProgram(command, sha256 string) error {
	if err := executorCommand(command); err != nil {
		return fmt.Errorf("command: %w", err)
	}
	if err := sha256Hex(sha256); err != nil {
		return fmt.Errorf("sha256: %w", err)
	}
	return nil
}

func absolutePath(s string) error {
	if s != "" && !filepath.IsAbs(s) || strings.ContainsRune(s, 0) {
		return fmt.Errorf("%.128q must be an absolute path", s)
	}
	return nil
}

func sha256Hex(s string) error {
	if sum, err := hex.DecodeString(s); s != "" && (err != nil || len(sum) != 32) {
		return fmt.Errorf("%.80q must be 64 hexadecimal digits, as sha256sum prints them", s)
	}
	return nil
}

func notEmpty(s string) error {
	if s == "" {
		return errors.New("must not be empty")
	}
	return nil
}

// validName reports whether s can name an executor or a pool. Names become parts
// of folder and socket names, so they are short and plain.
func validName(s string) bool {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' || r == '-'
	}
	return s != "" && len(s) <= 32 && s[0] >= 'a' && s[0] <= 'z' &&
		!slices.ContainsFunc([]rune(s), func(r rune) bool { return !plain(r) })
}

// setMode takes file permissions as a string of octal digits: HCL has no octal
// numbers, and 0660 would silently be decimal.
func setMode(to *uint32) func(cty.Value) error {
	return func(v cty.Value) error {
		const allowed = `must be a string of octal digits such as "0660" that lets the owner read and write`
		s, err := asString(v)
		if err != nil {
			return errors.New(allowed)
		}
		n, err := strconv.ParseUint(s, 8, 32)
		if err != nil || n > 0o777 || n&0o600 != 0o600 {
			return fmt.Errorf("%.64q %s", s, allowed)
		}
		*to = uint32(n)
		return nil
	}
}

// setPolicy takes the name of a balancer's policy.
func setPolicy(to *balancer.Policy) func(cty.Value) error {
	var names []string
	for _, p := range balancer.Policies() {
		names = append(names, string(p))
	}
	return setOneOf((*string)(to), names...)
}

// setWorkers takes "auto", stored as 0, or a number of processes.
func setWorkers(to *int) func(cty.Value) error {
	return func(v cty.Value) error {
		if s, err := asString(v); err == nil && s == "auto" {
			*to = 0
			return nil
		}
		if err := setCount(to, 1, 1024)(v); err != nil {
			return errors.New(`must be "auto", one for each core, or a whole number from 1 to 1024`)
		}
		return nil
	}
}

// setCores takes "auto", stored as "", or a list of CPUs.
func setCores(to *string) func(cty.Value) error {
	return func(v cty.Value) error {
		s, err := asString(v)
		if err != nil {
			return errors.New(`must be "auto" or a list of CPUs such as "0-3,8"`)
		}
		if s == "auto" {
			*to = ""
			return nil
		}
		if _, err := topology.ParseCPUs(s); err != nil {
			return fmt.Errorf(`%w, nor is it "auto"`, err)
		}
		*to = s
		return nil
	}
}
