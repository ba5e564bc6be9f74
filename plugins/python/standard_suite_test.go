package python

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// suiteHangs is when a module of the suite is given up.
const suiteHangs = 5 * time.Minute

// standardModule is one of Python's own test modules.
type standardModule struct {
	Module string   `json:"module"`
	Only   []string `json:"only,omitempty"` // its classes; nil: all
	// differs names the tests that may fail as a task alone, with the reason.
	differs map[string]string
}

var standardModules = []standardModule{
	{Module: "test.test_argparse"},
	{Module: "test.test_asyncio.test_events"},
	{Module: "test.test_asyncio.test_runners"},
	{Module: "test.test_asyncio.test_streams"},
	{Module: "test.test_asyncio.test_subprocess"},
	{Module: "test.test_asyncio.test_tasks"},
	{Module: "test.test_atexit"},
	{Module: "test.test_builtin"},
	{Module: "test.test_concurrent_futures", Only: []string{"ThreadPoolExecutorTest", "ThreadPoolShutdownTest", "ThreadPoolAsCompletedTests",
		"FutureTests", "ProcessPoolSpawnProcessPoolExecutorTest"}},
	{Module: "test.test_context"},
	{Module: "test.test_contextlib"},
	{Module: "test.test_contextlib_async"},
	{Module: "test.test_coroutines"},
	{Module: "test.test_dataclasses"},
	{Module: "test.test_datetime"},
	{Module: "test.test_decimal"},
	{Module: "test.test_doctest"},
	{Module: "test.test_enum"},
	{Module: "test.test_exceptions"},
	{Module: "test.test_gc"},
	{Module: "test.test_importlib.import_"},
	{Module: "test.test_inspect"},
	{Module: "test.test_io", Only: []string{"CTextIOWrapperTest", "CBufferedWriterTest", "CBufferedReaderTest", "CIOTest", "CMiscIOTest",
		"CIncrementalNewlineDecoderTest", "StatefulIncrementalDecoderTest"}},
	{Module: "test.test_json"},
	{Module: "test.test_locale"},
	{Module: "test.test_logging"},
	{Module: "test.test_multiprocessing_spawn", Only: []string{"WithProcessesTestPool", "WithProcessesTestQueue", "WithThreadsTestPool"}},
	{Module: "test.test_os"},
	{Module: "test.test_pickle"},
	{Module: "test.test_runpy"},
	{Module: "test.test_signal", Only: []string{"GenericTests", "PosixTests", "WakeupFDTests", "WakeupSocketSignalTests", "RaiseSignalTest",
		"PidfdSignalTest", "WakeupSignalTests", "PendingSignalsTests"}},
	{Module: "test.test_subprocess"},
	{Module: "test.test_sys"},
	{Module: "test.test_tempfile"},
	{Module: "test.test_threading"},
	{Module: "test.test_time"},
	{Module: "test.test_traceback"},
	{Module: "test.test_typing"},
	{Module: "test.test_warnings"},
	{Module: "test.test_weakref"},
	{Module: "unittest.test.test_case"},
	{Module: "unittest.test.testmock.testpatch"},
}

// suiteReport is what runs_a_test_module.py returns.
type suiteReport struct {
	Run, Skipped     int
	ExpectedFailures int `json:"expected_failures"`
	Bad              []string
	Report           string
}

// Python's own tests have the same results in a task as under python3.
func TestTheStandardLibrarysSuiteHasTheSameResultsAsATask(t *testing.T) {
	onlyWithLibraries(t)
	for _, m := range standardModules {
		t.Run(m.Module, func(t *testing.T) {
			t.Parallel()
			want, got := m.underPython(t), m.asATask(t)
			t.Logf("%d run, %d skipped, %d bad", want.Run, want.Skipped, len(want.Bad))
			if got.Run != want.Run || got.Skipped != want.Skipped || got.ExpectedFailures != want.ExpectedFailures {
				t.Errorf("%d run, %d skipped, %d expected failures; under python3 %d, %d, %d", got.Run, got.Skipped, got.ExpectedFailures,
					want.Run, want.Skipped, want.ExpectedFailures)
			}
			for _, name := range got.Bad {
				if m.differs[name] == "" && !slices.Contains(want.Bad, name) {
					t.Errorf("%s fails as a task alone", name)
				}
			}
			if t.Failed() {
				t.Log(got.Report)
			}
		})
	}
}

func (m standardModule) step(t *testing.T) *step {
	t.Helper()
	params, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return &step{Script: "runs_a_test_module.py", Function: "main", Params: params}
}

func (m standardModule) underPython(t *testing.T) suiteReport {
	t.Helper()
	s := m.step(t)
	return m.report(t, runPython(t, filepath.Dir(probe), s, []string{string(s.Params)})[0].result)
}

func (m standardModule) asATask(t *testing.T) suiteReport {
	t.Helper()
	w := startCrewWorker(t, "exclusive")
	defer w.close()
	w.patience = suiteHangs
	s, dir := m.step(t), filepath.Dir(probe)
	return m.report(t, w.outcome(t, w.send(t, dir, s)))
}

// report reads the script's answer.
func (m standardModule) report(t *testing.T, r result) (report suiteReport) {
	t.Helper()
	if r.Type == "ModuleNotFoundError" {
		t.Skip(r.Message)
	}
	if !r.Completed || json.Unmarshal(r.Data, &report) != nil {
		t.Fatal(r)
	}
	return report
}
