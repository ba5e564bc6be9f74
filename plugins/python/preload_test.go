package python

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// venvWith is a virtual environment that has a module of that text, "preloaded".
func venvWith(t *testing.T, text string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "venv")
	if out, err := exec.Command("/usr/bin/python3", "-m", "venv", "--without-pip", dir).CombinedOutput(); err != nil {
		t.Skipf("there are no virtual environments: %v: %s", err, out)
	}
	packages, err := filepath.Glob(filepath.Join(dir, "lib", "python3.*", "site-packages"))
	if err != nil || len(packages) != 1 {
		t.Fatal(err, packages)
	}
	writeFile(t, filepath.Join(packages[0], "preloaded.py"), text)
	return dir
}

const startsAThread = `import threading
lock = threading.Lock()
def hold():
    with lock:
        threading.Event().wait()
threading.Thread(target=hold, name="holder", daemon=True).start()
`

// A fork takes the locks that a thread holds, and not the thread.
func TestAPreloadThatStartsAThreadIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"preloaded: it has started a thread ('holder')":                  startsAThread,
		"preloaded: it has started a thread (one of the module _thread)": "import _thread\nlock = _thread.allocate_lock()\nlock.acquire()\n_thread.start_new_thread(lock.acquire, ())\n",
	} {
		err := unavailable(t, map[string]string{"preload": `["json", "preloaded"]`, "venv": venvWith(t, text)})
		if err == nil || !strings.Contains(err.Error(), "preload: "+name) {
			t.Errorf("%v", err)
		}
	}
}

// startsANativeThread starts a thread that Python knows nothing of.
const startsANativeThread = `import ctypes
libc = ctypes.CDLL(None)
thread = ctypes.c_void_p()
libc.pthread_create(ctypes.byref(thread), None, libc.pause, None)
`

func TestAPreloadMayHaveThreadsThatEndAndSuchAsPythonDoesNotKnow(t *testing.T) {
	for name, text := range map[string]string{
		"ended":  "import threading\nthread = threading.Thread(target=int)\nthread.start()\nthread.join()\n",
		"native": startsANativeThread,
	} {
		t.Run(name, func(t *testing.T) {
			p := openApart(t, map[string]string{"preload": `["preloaded"]`, "venv": venvWith(t, text)})
			wantData(t, p.run(script("returns_params.py"), "1"), "1")
			said := strings.Contains(strings.Join(p.LastStderr(), "\n"), "preload: preloaded has started threads outside of Python")
			if said != (name == "native") {
				t.Errorf("the log: %q", p.LastStderr())
			}
		})
	}
}
