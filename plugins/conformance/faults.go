package conformance

import (
	"slices"
	"strings"

	"cpulb/daemon/task"
	"cpulb/plugins"
)

func fails(b *bench) {
	o := b.run(Fails, "{}")
	if o.Status != task.Failed || o.Error == nil || !slices.Contains([]string{"exception", "exit"}, o.Error.Code) ||
		!strings.Contains(o.Error.Message+o.Stderr, "as asked") {
		b.Fatalf("wanted a failed Result with the code exception or exit, and \"as asked\" in its message or stderr, got %s", outcome(o))
	}
	if o.Fault != plugins.NoFault || o.Spent {
		b.Errorf("a script's error is told as the executor's: %s", outcome(o))
	}
	b.mustEcho("1")
}

func probes(b *bench) {
	for range 3 {
		if o := b.probe(); o.Status != task.Completed || o.Spent {
			b.Fatalf("a probe of a sound worker: wanted completed, got %s", outcome(o))
		}
		b.mustEcho("1")
	}
}

func faulted(b *bench) {
	o := b.run(Faulted, "{}")
	if o.Status != task.Failed || o.Fault != plugins.Unrun || o.Error == nil || o.Error.Code != "executor" {
		b.Fatalf("wanted a failed Result with FAULT_UNRUN and the code executor, got %s", outcome(o))
	}
	fails(b)
}

// breaks wants the worker to say with the Result that it is spent, or to fail what follows
// by a fault, and then the probe.
func breaks(b *bench) {
	o := b.run(Breaks, "1")
	if o.Spent {
		return
	}
	if o = b.run(Echo, "1"); o.Status == task.Completed {
		return // the executor could put it right
	}
	if o.Fault == plugins.NoFault {
		b.Errorf("a broken worker blames the script: wanted a fault, got %s", outcome(o))
	}
	if o = b.probe(); o.Status == task.Completed && !o.Spent {
		b.Errorf("a broken worker passes the probe")
	}
}

func panics(b *bench) {
	o := b.run(Panics, "{}")
	if o.Status != task.Failed || o.Fault != plugins.Ran || o.Error == nil || o.Error.Code != "executor" {
		b.Fatalf("wanted a failed Result with FAULT_RAN and the code executor, got %s", outcome(o))
	}
	b.mustEcho("1")
}

func hugeResult(b *bench) {
	o := b.run(HugeResult, "{}")
	if o.Status != task.Failed || o.Error == nil || o.Error.Code != "result_too_large" {
		b.Fatalf("wanted a failed Result with the code result_too_large, got %s", outcome(o))
	}
	b.mustEcho("1")
}

func notText(b *bench) {
	if o := b.run(NotText, "{}"); o.Status != task.Completed && (o.Error == nil || o.Error.Code != "executor") {
		b.Fatalf("wanted completed, or a failed Result with the code executor, got %s", outcome(o))
	}
	b.mustEcho("1")
}

func strayOutput(b *bench) {
	for range 3 {
		if o := b.run(StrayOutput, "{}"); o.Status != task.Completed {
			b.Fatalf("wanted completed, got %s", outcome(o))
		}
	}
	b.mustEcho("1")
}
