package config

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"cpulb/daemon/task"
	"cpulb/plugins"
	"cpulb/plugins/supervisor"

	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// Text returns c as a file that says the same, with every key that its blocks may have but
// those that can't be said: a pool that scales has no workers.
func (c *Config) Text() []byte {
	f := hclwrite.NewEmptyFile()
	for i, b := range c.shown() {
		if i > 0 {
			f.Body().AppendNewline()
		}
		var labels []string
		if b.label != "" {
			labels = []string{b.label}
		}
		body := f.Body().AppendNewBlock(b.name, labels).Body()
		for _, k := range b.keys {
			body.SetAttributeValue(k.name, k.value)
		}
	}
	return f.Bytes()
}

// JSON returns the same as an object of blocks; those with a name are in an object by it.
func (c *Config) JSON() ([]byte, error) {
	all := map[string]any{}
	for _, b := range c.shown() {
		keys := map[string]json.RawMessage{}
		for _, k := range b.keys {
			text, err := ctyjson.Marshal(k.value, k.value.Type())
			if err != nil {
				return nil, fmt.Errorf("%s.%s: %w", b.name, k.name, err)
			}
			keys[k.name] = text
		}
		if b.label == "" {
			all[b.name] = keys
			continue
		}
		if all[b.name] == nil {
			all[b.name] = map[string]any{}
		}
		all[b.name].(map[string]any)[b.label] = keys
	}
	return json.Marshal(all)
}

// shownBlock is a block of a file, shownKey one of its keys.
type shownBlock struct {
	name, label string
	keys        []shownKey
}

type shownKey struct {
	name  string
	value cty.Value
}

// shown is what a file has to say for c, in the order of the decoder's tables.
func (c *Config) shown() []shownBlock {
	all := []shownBlock{
		{"socket", "", []shownKey{{"path", str(c.Socket.Path)}, {"mode", str(fmt.Sprintf("%#o", c.Socket.Mode))}, {"group", str(c.Socket.Group)}}},
		{"queue", "", []shownKey{{"max_tasks", num(c.Queue.MaxTasks)}, {"max_bytes", volume(c.Queue.MaxBytes)}, {"policy", str(c.Queue.Policy)},
			{"concurrency_limit", num(c.Queue.KeyLimit)}, {"concurrency_limits", counts(c.Queue.KeyLimits)}}},
		{"results", "", []shownKey{{"ttl", span(c.Results.TTL)}, {"max", num(c.Results.Max)}, {"max_bytes", volume(c.Results.MaxBytes)}}},
		{"journal", "", []shownKey{{"sync", str(c.Journal.Sync)}, {"interval", span(c.Journal.Interval)}}},
	}
	for i := range c.Executors {
		all = append(all, shownBlock{"executor", c.Executors[i].Name, c.Executors[i].shown()})
	}
	for i := range c.Pools {
		all = append(all, shownBlock{"pool", c.Pools[i].Name, c.Pools[i].shown()})
	}
	all = append(all, shownBlock{"limits", "", c.Limits.shown()})
	for i := range c.Schedules {
		all = append(all, shownBlock{"schedule", c.Schedules[i].Name, c.Schedules[i].shown()})
	}
	a := &c.Access
	return append(all,
		shownBlock{"access", "", []shownKey{{"users", list(a.Users)}, {"groups", list(a.Groups)}, {"admin_users", list(a.AdminUsers)},
			{"admin_groups", list(a.AdminGroups)}, {"script_dirs", list(a.ScriptDirs)}, {"source", cty.BoolVal(a.Source)}}},
		shownBlock{"log", "", []shownKey{{"level", str(c.Log.Level)}, {"format", str(c.Log.Format)}}},
		shownBlock{"tracing", "", []shownKey{{"endpoint", str(c.Tracing.Endpoint)}, {"protocol", str(c.Tracing.Protocol)},
			{"sample", str(strconv.FormatFloat(100*c.Tracing.Sample, 'g', -1, 64) + "%")}}})
}

func (x *Executor) shown() []shownKey {
	keys := []shownKey{{"command", str(x.Command)}, {"sha256", str(x.SHA256)},
		{"canary", str(strconv.FormatFloat(100*x.Canary, 'g', -1, 64) + "%")}, {"canary_for", span(x.CanaryFor)}}
	if x.Probe != nil {
		keys = append(keys, shownKey{"probe", fields(x.Probe, probeFields())})
	}
	return append(keys, x.Environment.shown()...)
}

func (e *Environment) shown() []shownKey {
	return []shownKey{{"venv", str(e.Venv)}, {"preload", list(e.Preload)}, {"env", object(e.Env)}, {"settings", settings(e.Own)}}
}

func (p *Pool) shown() []shownKey {
	workers, cores := str("auto"), str("auto")
	if p.Workers > 0 {
		workers = num(p.Workers)
	}
	if p.Cores != "" {
		cores = str(p.Cores)
	}
	isolation := isolationThread
	if p.Processes {
		isolation = isolationProcess
	}
	keys := []shownKey{
		{"executor", str(p.Executor)}, {"task_types", list(p.TaskTypes)}, {"workers", workers}, {"min_workers", num(p.MinWorkers)},
		{"max_workers", num(p.MaxWorkers)}, {"idle_timeout", span(p.IdleTimeout)}, {"spare", num(p.Spare)}, {"relief", num(p.Relief)},
		{"window", span(p.Window)}, {"threads", num(p.Threads)}, {"async_concurrency", num(p.AsyncConcurrency)}, {"pin", cty.BoolVal(p.Pin)},
		{"policy", str(string(p.Policy))}, {"cores", cores}, {"reserve", num(p.Reserve)}, {"max_tasks", num(p.MaxTasks)}, {"max_age", span(p.MaxAge)},
		{"max_rss", volume(p.MaxRSSBytes)}, {"memory", volume(p.MemoryBytes)}, {"nice", num(p.Nice)}, {"ionice", str(priority(p.IOPriority))},
		{"oom_score_adj", num(p.OOMScoreAdj)}, {"users", list(p.Users)}, {"groups", list(p.Groups)}, {"isolation", str(isolation)},
		{"cpu_time", span(p.CPUTime)}, {"private_tmp", cty.BoolVal(p.PrivateTmp)}, {"network", cty.BoolVal(!p.NoNetwork)},
		{"read_only", cty.BoolVal(p.ReadOnly)}, {"system_calls", str(p.SystemCalls)}, {"user", str(p.User)}, {"group", str(p.Group)},
	}
	if p.MaxWorkers > 0 { // their number follows the tasks
		keys = slices.DeleteFunc(keys, func(k shownKey) bool { return k.name == "workers" })
	}
	return append(keys, p.Environment.shown()...)
}

func (l *Limits) shown() []shownKey {
	return []shownKey{{"body_size", volume(l.BodyBytes)}, {"in_flight", volume(l.InFlightBytes)}, {"connections", num(l.Connections)},
		{"watches", num(l.Watches)}, {"result_size", volume(l.ResultBytes)}, {"output_size", volume(l.OutputBytes)}, {"event_size", volume(l.EventBytes)},
		{"start_timeout", span(l.StartTimeout)}, {"cancel_grace", span(l.CancelGrace)}, {"fence_timeout", span(l.FenceTimeout)},
		{"gil_stall", span(l.GILStall)}, {"drain_timeout", span(l.DrainTimeout)}}
}

func (s *Schedule) shown() []shownKey {
	keys := []shownKey{{"cron", str(s.Cron)}, {"time_zone", str(s.TimeZone)}, {"overlap", str(string(s.Overlap))}, {"catch_up", str(string(s.CatchUp))},
		{"owner", str(s.Owner)}}
	values := fields(&s.Task, scheduledFields()).AsValueMap()
	for _, name := range scheduledFields() {
		if v, set := values[name]; set {
			keys = append(keys, shownKey{name, v})
		}
	}
	return keys
}

func str(s string) cty.Value               { return cty.StringVal(s) }
func num(n int) cty.Value                  { return cty.NumberIntVal(int64(n)) }
func span(d time.Duration) cty.Value       { return str(d.String()) }
func object(m map[string]string) cty.Value { return implied(m) }
func counts(m map[string]int) cty.Value    { return implied(m) }

func list(all []string) cty.Value {
	if all == nil {
		all = []string{}
	}
	return implied(all)
}

// implied is what the JSON of a value says; nil maps are empty objects.
func implied(v any) cty.Value {
	text, err := json.Marshal(v)
	if err != nil || string(text) == "null" {
		return cty.EmptyObjectVal
	}
	return ofJSON(text)
}

func ofJSON(text []byte) cty.Value {
	kind, err := ctyjson.ImpliedType(text)
	if err != nil {
		return cty.NullVal(cty.DynamicPseudoType) // not from a file
	}
	v, err := ctyjson.Unmarshal(text, kind)
	if err != nil {
		return cty.NullVal(cty.DynamicPseudoType)
	}
	return v
}

// volume has the largest unit that divides a number.
func volume(n int64) cty.Value {
	for _, unit := range []struct {
		name string
		size int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= unit.size && n%unit.size == 0 {
			return str(strconv.FormatInt(n/unit.size, 10) + unit.name)
		}
	}
	return cty.NumberIntVal(n)
}

func priority(p supervisor.IOPriority) string {
	switch p.Class {
	case supervisor.IOIdle:
		return "idle"
	case supervisor.IOBestEffort:
		return fmt.Sprintf("best-effort:%d", p.Level)
	case supervisor.IORealtime:
		return fmt.Sprintf("realtime:%d", p.Level)
	default:
		return "none"
	}
}

func settings(all map[string]plugins.Given) cty.Value {
	values := map[string]cty.Value{}
	for name, g := range all {
		if g.Form == plugins.TextForm {
			values[name] = str(g.Text)
		} else {
			values[name] = ofJSON([]byte(g.Text))
		}
	}
	return cty.ObjectVal(values)
}

// fields are those of a task's that are named, and set.
func fields(t *task.Task, names []string) cty.Value {
	all := ofJSON(t.AppendJSON(nil))
	values := map[string]cty.Value{}
	if all.Type().IsObjectType() {
		for name, v := range all.AsValueMap() {
			if slices.Contains(names, name) && !v.IsNull() {
				values[name] = v
			}
		}
	}
	return cty.ObjectVal(values)
}
