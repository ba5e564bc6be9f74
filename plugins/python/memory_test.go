package python

import (
	"testing"

	"cpulb/daemon/task"
	"cpulb/plugins"
	"cpulb/plugins/supervisor"
)

// A result for which there is not the memory is not the worker's failure, and the task is not run again.
func TestAResultBeyondTheWorkersMemoryIsTheScriptsFailure(t *testing.T) {
	path := written(t, "def main(params, context):\n    return ['\\xe9' * (100 << 20)] * 20\n\nasync def on_a_loop(params, context):\n    return main(params, context)\n")
	for kind, function := range map[string]string{"exclusive": "main", "shared": "main", "loop": "on_a_loop"} {
		t.Run(kind, func(t *testing.T) {
			f := &field{crew: crew{kind: kind}, function: function}
			f.worker = startBoundedCrewWorker(t, kind, supervisor.Limits{MemoryBytes: 512 << 20})
			defer f.dismiss()
			o, lost := f.attempt(t, path, "1")
			if lost || o.Fault != plugins.NoFault {
				t.Fatalf("lost: %v, %v %+v fault %d", lost, o.Status, o.Error, o.Fault)
			}
			if e := wantError(t, o, task.Failed, "exception"); e.Type != "MemoryError" || e.Message != "out of memory (pool.memory) while writing the result" {
				t.Errorf("%+v", e)
			}
		})
	}
}
