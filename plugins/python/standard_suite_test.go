package python

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// suiteHangs is when a module of the suite is given up.
const suiteHangs = 3 * time.Minute

// standardModule is one of Python's own test modules.
type standardModule struct {
	Module string   `json:"module"`
	Only   []string `json:"only,omitempty"` // its classes; nil: all
	// differs names the tests that may fail as a task alone, with the reason.
	differs map[string]string
}

// Why a test may fail as a task, or be skipped.
const (
	noFork       = "a worker has several threads and refuses os.fork, which os.spawnv and pty.fork call"
	noBytecode   = "a worker writes no bytecode to folders that others may write, /tmp for one"
	isolatedUTF8 = "a worker's interpreter is in UTF-8 mode and does not look at variables like PYTHONHOME"
)

// because names tests that differ for one reason.
func because(reason, prefix string, names ...string) map[string]string {
	all := map[string]string{}
	for _, name := range names {
		all[prefix+name] = reason
	}
	return all
}

func both(a, b map[string]string) map[string]string {
	maps.Copy(a, b)
	return a
}

var standardModules = []standardModule{
	{Module: "test.test_argparse"},
	{Module: "test.test_asyncio.test_events"},
	{Module: "test.test_asyncio.test_runners"},
	{Module: "test.test_asyncio.test_streams"},
	{Module: "test.test_asyncio.test_subprocess"},
	{Module: "test.test_asyncio.test_tasks"},
	{Module: "test.test_atexit"},
	{Module: "test.test_builtin", differs: both(because(noFork, "test.test_builtin.PtyTests.", "test_input_no_stdout_fileno"),
		because(isolatedUTF8, "test.test_builtin.", "TestBreakpoint.test_envar_good_path_builtin", "TestBreakpoint.test_envar_good_path_noop_0",
			"TestBreakpoint.test_envar_good_path_other", "TestBreakpoint.test_envar_unimportable", "BuiltinTest.test_open_default_encoding"))},
	{Module: "test.test_concurrent_futures", Only: []string{"ThreadPoolExecutorTest", "ThreadPoolShutdownTest", "ThreadPoolAsCompletedTests",
		"FutureTests", "ProcessPoolSpawnProcessPoolExecutorTest"},
		differs: because(noFork, "test.test_concurrent_futures.ThreadPoolExecutorTest.", "test_hang_global_shutdown_lock")},
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
		"CIncrementalNewlineDecoderTest", "StatefulIncrementalDecoderTest"},
		differs: because(isolatedUTF8, "test.test_io.CTextIOWrapperTest.", "test_default_encoding")},
	{Module: "test.test_json"},
	{Module: "test.test_locale"},
	{Module: "test.test_logging", differs: because(noFork, "test.test_logging.HandlerTest.", "test_post_fork_child_no_deadlock")},
	{Module: "test.test_multiprocessing_spawn", Only: []string{"WithProcessesTestPool", "WithProcessesTestQueue", "WithThreadsTestPool"}},
	{Module: "test.test_os", differs: both(because(noFork, "test.test_os.SpawnTests.", "test_nowait", "test_spawnl", "test_spawnle", "test_spawnlp",
		"test_spawnlpe", "test_spawnv", "test_spawnve", "test_spawnve_bytes", "test_spawnve_invalid_env", "test_spawnvp", "test_spawnvpe",
		"test_spawnvpe_invalid_env"),
		because(noFork, "test.test_os.PidTests.", "test_waitpid", "test_waitstatus_to_exitcode", "test_waitstatus_to_exitcode_kill"))},
	{Module: "test.test_pickle"},
	{Module: "test.test_runpy", differs: both(because(noBytecode, "test.test_runpy.RunModuleTestCase.", "test_explicit_relative_import",
		"test_main_relative_import", "test_run_module", "test_run_module_alter_sys", "test_run_module_in_namespace_package", "test_run_name",
		"test_run_namespace_package", "test_run_namespace_package_in_namespace_package", "test_run_package", "test_run_package_alter_sys",
		"test_run_package_in_namespace_package"),
		because(noBytecode, "test.test_runpy.RunPathTestCase.", "test_directory", "test_directory_compiled"))},
	{Module: "test.test_signal", Only: []string{"GenericTests", "PosixTests", "WakeupFDTests", "WakeupSocketSignalTests", "RaiseSignalTest",
		"PidfdSignalTest", "WakeupSignalTests", "PendingSignalsTests"}},
	{Module: "test.test_subprocess"},
	{Module: "test.test_sys"},
	{Module: "test.test_tempfile", differs: because(noFork, "test.test_tempfile.", "TestMkstempInner.test_noinherit",
		"TestRandomNameSequence.test_process_awareness")},
	{Module: "test.test_threading", differs: because(noFork, "test.test_threading.", "ThreadTests.test_is_alive_after_fork",
		"ThreadJoinOnShutdown.test_clear_threads_states_after_fork")},
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
	Run              int
	Skipped          map[string]string // with the reason
	ExpectedFailures int               `json:"expected_failures"`
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
			t.Logf("%d run, %d skipped, %d bad", want.Run, len(want.Skipped), len(want.Bad))
			if got.Run != want.Run || got.ExpectedFailures != want.ExpectedFailures {
				t.Errorf("%d run, %d expected failures; under python3 %d, %d", got.Run, got.ExpectedFailures, want.Run, want.ExpectedFailures)
			}
			for name, why := range got.Skipped {
				if m.differs[name] == "" && want.Skipped[name] == "" {
					t.Errorf("%s is skipped as a task alone: %s", name, why)
				}
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
