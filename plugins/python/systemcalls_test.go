package python

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"cpulb/plugins"
)

// triesSystemCalls takes a filter and prints the names of the errors that calls end with, 0 for none. A
// call that is let through has arguments that are no good, and fails otherwise.
const triesSystemCalls = `
import base64, ctypes, errno, os, subprocess, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
code = base64.b64decode(sys.argv[1])
class Program(ctypes.Structure):
    _fields_ = [("count", ctypes.c_ushort), ("code", ctypes.c_char_p)]
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(Program(len(code) // 8, code))) == 0, ctypes.get_errno()

def call(*args):
    return "0" if libc.syscall(*args) >= 0 else errno.errorcode[ctypes.get_errno()]

MOUNT, PTRACE, BPF, KEYCTL, UNSHARE, SETNS, PERF, CLONE, CLONE3, X32 = 165, 101, 321, 250, 272, 308, 298, 56, 435, 0x40000000
print("mount", call(MOUNT, None, None, None, 0, None))
print("ptrace", call(PTRACE, 16, -1, 0, 0))
print("bpf", call(BPF, -1, 0, 0))
print("keyctl", call(KEYCTL, 0, 0, 0))
print("perf", call(PERF, None, 0, 0, 0, 0))
print("userfaultfd", call(323, -1))
print("setns", call(SETNS, -1, 0))
print("user namespace", call(UNSHARE, 0x10000000))
print("folder of a thread", call(UNSHARE, 0x200))
print("clone into namespaces", call(CLONE, 0x10000000 | 0x20000, 0, 0, 0, 0))
print("clone3", call(CLONE3, None, 0))
print("x32", call(X32 + 39))
print("getpid", call(39) and 0)
thread = threading.Thread(target=print, args=("thread runs",))
thread.start()
thread.join()
sys.stdout.flush()
print("child", subprocess.run(["true"]).returncode)
pid = os.fork()
if pid == 0:
    os._exit(0)
print("fork", os.waitpid(pid, 0)[1])
`

func TestTheFilterLetsScriptsBeAndNothingAroundThem(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the test has the numbers of amd64")
	}
	filter, err := filterOf(true, false)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("python3", "-c", triesSystemCalls, base64.StdEncoding.EncodeToString(filter)).CombinedOutput()
	want := strings.Join([]string{"mount EPERM", "ptrace EPERM", "bpf EPERM", "keyctl EPERM", "perf EPERM", "userfaultfd EPERM", "setns EPERM",
		"user namespace EPERM", "folder of a thread 0", "clone into namespaces EPERM", "clone3 ENOSYS", "x32 ENOSYS", "getpid 0", "thread runs",
		"child 0", "fork 0", ""}, "\n")
	if err != nil || string(out) != want {
		t.Errorf("%v:\n%s\nwant\n%s", err, out, want)
	}
}

// opensSockets prints for each family which error a socket of it ends with, and what a ring does.
const opensSockets = `
import base64, ctypes, errno, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
code = base64.b64decode(sys.argv[1])
class Program(ctypes.Structure):
    _fields_ = [("count", ctypes.c_ushort), ("code", ctypes.c_char_p)]
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(Program(len(code) // 8, code))) == 0, ctypes.get_errno()
def opened(family):
    # Each but the first of these takes all 64 bits of the argument, of which the kernel looks at 32.
    for number in family, family | 1 << 32, family - (1 << 32):
        fd = libc.syscall(41, ctypes.c_long(number), ctypes.c_long(2), ctypes.c_long(0))
        yield "0" if fd >= 0 else errno.errorcode[ctypes.get_errno()]
for family in 1, 2, 10, 16, 17, 38, 40, 42:
    print(family, *opened(family))
print("ring", "0" if libc.syscall(425, 0, None) >= 0 else errno.errorcode[ctypes.get_errno()])
`

func TestWithoutANetworkThereAreSocketsOfItsFamiliesAlone(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the test has the numbers of amd64")
	}
	const no = "EAFNOSUPPORT"
	for _, scripts := range []bool{false, true} {
		filter, err := filterOf(scripts, true)
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("python3", "-c", opensSockets, base64.StdEncoding.EncodeToString(filter)).CombinedOutput()
		var want strings.Builder
		for _, family := range []int{1, 2, 10, 16, 17, 38, 40, 42} {
			first := "0"
			if family > 16 {
				first = no
			}
			fmt.Fprintln(&want, family, first, no, no)
		}
		want.WriteString("ring EPERM\n")
		if err != nil || string(out) != want.String() {
			t.Errorf("%v:\n%s\nwant\n%s", err, out, want.String())
		}
	}
}

func TestASetOfSystemCallsThatIsNotThereIsRefused(t *testing.T) {
	var w walls
	if _, err := w.set("system_calls", "most"); !errors.Is(err, plugins.ErrBadSetting) || !strings.Contains(err.Error(), `"scripts"`) {
		t.Error(err)
	}
}
