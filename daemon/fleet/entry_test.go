package fleet

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/config"
	"cpulb/daemon/task"
)

// One script has any number of paths, which whoever submits chooses.
func TestWhatIsKnownOfScriptsTakesLittleHoweverLongTheirPathsAre(t *testing.T) {
	f := New(Options{Owner: nobody{}, Elapsed: func() time.Duration { return 0 }}, []Layout{{config: config.Pool{Name: "p"}, masks: [][]int{{0}}, count: 1}})
	p := f.pools[0]
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	for i := range 2 * maxEstimates {
		x := &task.Task{ScriptPath: fmt.Sprintf("/%d%s", i, strings.Repeat("/.", 2000)), Function: "main"}
		p.observe(x, time.Second)
		if i < maxNeedThread {
			p.refused(x)
		}
	}
	if took := heap() - before; took > 8<<20 {
		t.Errorf("it takes %d KiB", took>>10)
	}
	runtime.KeepAlive(p)
	if n := p.estimates.Len(); n != maxEstimates {
		t.Errorf("%d scripts are known", n)
	}
}
