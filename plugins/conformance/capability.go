package conformance

import "cpulb/plugins"

// Capability is one of the contract's capabilities.
type Capability int

// The capabilities, by the names that they have in executor.proto.
const (
	CapCancel Capability = iota + 1
	CapEvents
	CapLoop
	CapSharedClaims
	CapIsolation
	CapTaskEnv
	CapTaskCwd
	CapOutput
)

// String returns its name in executor.proto, without the prefix.
func (c Capability) String() string {
	for _, k := range capabilities() {
		if k.of == c {
			return k.name
		}
	}
	return "no capability"
}

// In reports whether the worker has it. Without one, 0, all are as they should be.
func (c Capability) In(w Worker) bool {
	for _, k := range capabilities() {
		if k.of == c {
			return k.in(w)
		}
	}
	return true
}

// CapabilitiesOf returns the names of those that a worker has.
func CapabilitiesOf(w Worker) []string {
	var all []string
	for _, k := range capabilities() {
		if k.in(w) {
			all = append(all, k.name)
		}
	}
	return all
}

type capability struct {
	of   Capability
	name string
	in   func(Worker) bool
}

func capabilities() []capability {
	of := func(c Capability, name string, in func(plugins.Description) bool) capability {
		return capability{c, name, func(w Worker) bool { return in(w.Description()) }}
	}
	return []capability{
		of(CapCancel, "CANCEL", func(d plugins.Description) bool { return d.CanCancel }),
		of(CapEvents, "EVENTS", func(d plugins.Description) bool { return d.HasEvents }),
		of(CapLoop, "LOOP", func(d plugins.Description) bool { return d.HasLoop }),
		{CapSharedClaims, "SHARED_CLAIMS", func(w Worker) bool { return w.Slot(0).Shares() }},
		of(CapIsolation, "ISOLATION", func(d plugins.Description) bool { return d.CanIsolate }),
		of(CapTaskEnv, "TASK_ENV", func(d plugins.Description) bool { return d.TakesEnv }),
		of(CapTaskCwd, "TASK_CWD", func(d plugins.Description) bool { return d.TakesCwd }),
		of(CapOutput, "OUTPUT", func(d plugins.Description) bool { return d.HasOutput }),
	}
}
