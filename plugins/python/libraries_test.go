package python

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"cpulb/daemon/task"
	"cpulb/plugins"
)

// missing skips a test whose library is not installed; `make test-libraries`
// installs them all.
func missing(t *testing.T, o plugins.Outcome) {
	t.Helper()
	if o.Error != nil && o.Error.Type == "ModuleNotFoundError" {
		t.Skip(o.Error.Message)
	}
}

// Code that was not written for this, from many threads of one process at once.
func TestLibrariesWorkFromManyThreadsAtOnce(t *testing.T) {
	const threads, rounds = 16, 5
	for _, c := range []struct{ script, params, want string }{
		{"multiplies_matrices.py", "7", "true"},
		{"queries_sqlite.py", "1000", "665667000"},
		{"speaks_tls_to_itself.py", "null", `[true,"NO_SHARED_CIPHER"]`},
		{"transforms_xml.py", "100", "4950.0"},
		{"draws_an_image.py", "null", "[255,0,0]"},
	} {
		t.Run(c.script, func(t *testing.T) {
			missing(t, openTestSlot(t).run(script(c.script), c.params))
			var all sync.WaitGroup
			for range threads {
				s := openTestSlot(t)
				all.Go(func() {
					for range rounds {
						if o := s.run(script(c.script), c.params); string(o.Data) != c.want {
							t.Errorf("%s %+v, want %s", o.Data, o.Error, c.want)
						}
					}
				})
			}
			all.Wait()
		})
	}
}

// Ten modules of the standard library's own tests; all of them pass under plain
// python3. What they need and a task has not, is listed with each.
func TestTheStandardLibrarysOwnTestsPassAsTasks(t *testing.T) {
	for _, c := range []struct {
		module  string
		refused []string // tests of what docs/scripts.md refuses
		long    bool     // it computes for seconds
	}{
		{module: "test_json"}, {module: "test_statistics", long: true}, {module: "test_collections"}, {module: "test_itertools", long: true},
		{module: "test_struct"}, {module: "test_base64"}, {module: "test_textwrap"}, {module: "test_heapq", long: true},
		{module: "test_fractions", long: true}, {module: "test_bisect"},
		{module: "test_re", refused: []string{"test_locale_caching", "test_locale_compiled"}},
	} {
		t.Run(c.module, func(t *testing.T) {
			if c.long && testing.Short() {
				t.Skip("-short: make test runs it")
			}
			s := openTestSlot(t)
			params, err := json.Marshal(c.module)
			if err != nil {
				t.Fatal(err)
			}
			o := s.run(script("runs_standard_tests.py"), string(params))
			missing(t, o)
			var report struct {
				Run, Skipped int
				Bad          []string
			}
			if o.Status != task.Completed || json.Unmarshal(o.Data, &report) != nil {
				t.Fatalf("%+v stdout %s stderr %s", o.Error, o.Stdout, o.Stderr)
			}
			t.Logf("%d run, %d skipped", report.Run, report.Skipped)
			if report.Run == 0 {
				t.Error("no test was run")
			}
			for _, bad := range report.Bad {
				known := false
				for _, name := range c.refused {
					known = known || strings.Contains(bad, name)
				}
				if !known {
					t.Error(bad)
				}
			}
		})
	}
}
