package plugins

import "cpulb/plugins/proto"

// capability pairs one of the contract's capabilities with its field of a Description.
type capability struct {
	of  proto.Capability
	has func(*Description) *bool
}

// capabilities lists those that an executor says of itself.
func capabilities() []capability {
	return []capability{
		{proto.Capability_CAPABILITY_CANCEL, func(d *Description) *bool { return &d.CanCancel }},
		{proto.Capability_CAPABILITY_EVENTS, func(d *Description) *bool { return &d.HasEvents }},
		{proto.Capability_CAPABILITY_LOOP, func(d *Description) *bool { return &d.HasLoop }},
		{proto.Capability_CAPABILITY_ISOLATION, func(d *Description) *bool { return &d.CanIsolate }},
		{proto.Capability_CAPABILITY_TASK_ENV, func(d *Description) *bool { return &d.TakesEnv }},
		{proto.Capability_CAPABILITY_TASK_CWD, func(d *Description) *bool { return &d.TakesCwd }},
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

func settingsOf(all []Setting) []*proto.Setting {
	var some []*proto.Setting
	for _, s := range all {
		some = append(some, &proto.Setting{Name: s.Name, Kind: proto.SettingKind(s.Kind), Description: s.Description, Default: s.Default,
			Required: s.Required, Allowed: s.Allowed})
	}
	return some
}
