package exec_test

import (
	"path/filepath"
	"strings"
	"testing"

	"cpulb/plugins/executortest"
)

// Of what ends a worker, or leaves something behind there, nothing can be asked of a program:
// it ends itself, and what it has started ends with it.
func TestTheExecutorConforms(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/scripts/*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	known := executortest.FakeScripts()
	scripts := map[executortest.Behaviour]string{}
	for _, file := range files {
		b := executortest.Behaviour(strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)))
		if known[b] == "" {
			t.Errorf("%s is named after no behaviour", file)
		}
		if scripts[b], err = filepath.Abs(file); err != nil {
			t.Fatal(err)
		}
	}
	executortest.Run(t, executortest.Suite{Scripts: scripts, Start: starter(map[string]string{"output": "last_line"}), Shares: true})
}
