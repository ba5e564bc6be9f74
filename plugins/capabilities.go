package plugins

import "cpulb/plugins/proto"

// capability pairs one of the contract's capabilities with its field of a Description.
type capability struct {
	of   proto.Capability
	name string
	has  func(*Description) *bool
}

// capabilities lists those that an executor says of itself.
func capabilities() []capability {
	return []capability{
		{proto.Capability_CAPABILITY_CANCEL, "CANCEL", func(d *Description) *bool { return &d.CanCancel }},
		{proto.Capability_CAPABILITY_EVENTS, "EVENTS", func(d *Description) *bool { return &d.HasEvents }},
		{proto.Capability_CAPABILITY_LOOP, "LOOP", func(d *Description) *bool { return &d.HasLoop }},
		{proto.Capability_CAPABILITY_ISOLATION, "ISOLATION", func(d *Description) *bool { return &d.CanIsolate }},
		{proto.Capability_CAPABILITY_TASK_ENV, "TASK_ENV", func(d *Description) *bool { return &d.TakesEnv }},
		{proto.Capability_CAPABILITY_TASK_CWD, "TASK_CWD", func(d *Description) *bool { return &d.TakesCwd }},
		{proto.Capability_CAPABILITY_OUTPUT, "OUTPUT", func(d *Description) *bool { return &d.HasOutput }},
	}
}

// Capabilities lists what d has by the contract's names, without their prefix.
func (d *Description) Capabilities() []string {
	all := []string{}
	for _, c := range capabilities() {
		if *c.has(d) {
			all = append(all, c.name)
		}
	}
	return all
}

// Add gives d what o can do, too.
func (d *Description) Add(o Description) {
	for _, c := range capabilities() {
		*c.has(d) = *c.has(d) || *c.has(&o)
	}
}

// capabilitiesOf lists what d has, and that Serve shares the claims of slots.
func capabilitiesOf(d *Description) []proto.Capability {
	all := []proto.Capability{proto.Capability_CAPABILITY_SHARED_CLAIMS}
	for _, c := range capabilities() {
		if *c.has(d) {
			all = append(all, c.of)
		}
	}
	return all
}

// describe makes d have exactly the capabilities that are listed. Unknown ones come from a
// newer executor.
func (d *Description) describe(listed []proto.Capability) (shares bool) {
	for _, c := range capabilities() {
		*c.has(d) = false
	}
	for _, l := range listed {
		shares = shares || l == proto.Capability_CAPABILITY_SHARED_CLAIMS
		for _, c := range capabilities() {
			if c.of == l {
				*c.has(d) = true
			}
		}
	}
	return shares
}
