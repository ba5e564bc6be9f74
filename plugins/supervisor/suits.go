package supervisor

import (
	"fmt"
	"maps"
	"sync"

	"cpulb/plugins"

	"github.com/hashicorp/go-hclog"
)

// suits returns why an executor can't be what the pool asks for. It matches
// plugins.ErrBadSetting.
func (s *Spec) suits(d *plugins.Description) error {
	lacks := func(key, what, capability string) error {
		return fmt.Errorf("%w: pool %q: %s: the executor %s %s (it does not describe %s)", plugins.ErrBadSetting, s.Pool, key, d.Name, what, capability)
	}
	switch {
	case s.LoopSlots > 0 && !d.HasLoop:
		return lacks("async_concurrency", "has no event loop", "LOOP")
	case s.Privileged && !d.CanIsolate:
		return lacks("user", "can't run tasks as their callers, as it gives none a process of its own", "ISOLATION")
	case s.Settings["isolation"] == "process" && !d.CanIsolate:
		return lacks("isolation", "can't give each task a process of its own", "ISOLATION")
	}
	return nil
}

// settle returns all that Configure gets as settings, once the executor has said which it has.
func (s *Spec) settle(d *plugins.Description) (map[string]string, error) {
	if err := s.suits(d); err != nil {
		return nil, err
	}
	settings, err := d.Settle(fmt.Sprintf("pool %q", s.Pool), s.Given)
	if err != nil {
		return nil, err
	}
	maps.Copy(settings, s.Settings)
	return settings, nil
}

// heard wraps handlers for an executor that has no events: what it sends all the same is
// dropped, and said once. It costs no task, as a breach of the contract would: the task has
// done nothing wrong.
func (p *Process) heard(log hclog.Logger, handler func(first, count int) plugins.Handler) func(first, count int) plugins.Handler {
	say := func(what, capability string) func() {
		return sync.OnceFunc(func() {
			log.Warn("the executor sends "+what+", which are dropped: it does not describe the capability "+capability, "executor", p.description.Name)
		})
	}
	events, output := say("partial results, progress or log lines", "EVENTS"), say("parts of what tasks print", "OUTPUT")
	return func(first, count int) plugins.Handler {
		dropped := map[plugins.Kind]func(){}
		if !p.description.HasEvents {
			dropped[plugins.EventPartial], dropped[plugins.EventProgress], dropped[plugins.EventLog] = events, events, events
		}
		if !p.description.HasOutput {
			dropped[plugins.EventOutput] = output
		}
		if len(dropped) == 0 {
			return handler(first, count)
		}
		return eventless{handler(first, count), dropped}
	}
}

// eventless is a plugins.Handler without some events of tasks that run; of each dropped has
// what says so.
type eventless struct {
	plugins.Handler
	dropped map[plugins.Kind]func()
}

// Events implements plugins.Handler.
func (h eventless) Events(events []plugins.Event) error {
	kept := make([]plugins.Event, 0, len(events))
	for _, ev := range events {
		if say := h.dropped[ev.Kind]; say != nil {
			say()
		} else {
			kept = append(kept, ev)
		}
	}
	if len(kept) == 0 {
		return nil
	}
	return h.Handler.Events(kept)
}
