package python

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/task"
	"cpulb/plugins"
	"cpulb/plugins/executortest"
	"cpulb/plugins/supervisor"

	"github.com/hashicorp/go-hclog"
)

// elsewhere has the test's temporary folders not be beneath /tmp, which tasks may have anew.
func elsewhere(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("/var/lib", "cpulb-w")
	if err != nil { // not root; the sources themselves may be beneath /tmp, where this can't be tested
		dir, err = os.MkdirTemp(".", "w")
	}
	if err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil { // for callers
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", dir)
}

// unavailable returns why a worker with these settings does not start.
func unavailable(t *testing.T, settings map[string]string) error {
	t.Helper()
	return unavailableTo(t, nil, settings)
}

// unavailableTo is unavailable for a worker of another user, unless that is nil.
func unavailableTo(t *testing.T, user *supervisor.User, settings map[string]string) error {
	t.Helper()
	dir, err := os.MkdirTemp("", "worker")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l, err := supervisor.NewLauncher(dir, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	all := map[string]string{"isolation": "process"}
	maps.Copy(all, settings)
	p, err := l.Start(context.Background(), supervisor.Spec{ID: "test-0", Pool: "test", Executor: "python", Command: os.Args[0], Slots: 1,
		Env: map[string]string{workerRole: "1"}, ResultBytes: testResultBytes, OutputBytes: testOutputBytes, StartTimeout: time.Minute, Settings: all, User: user},
		executortest.Each(func(int) executortest.SlotHandler { return &process{t: t, ended: make(chan plugins.Outcome, 1)} }))
	if err == nil {
		p.Kill()
		<-p.Done()
	}
	return err
}

const looksAround = `import ctypes, errno, multiprocessing, os, socket, tempfile

libc = ctypes.CDLL(None, use_errno=True)

def tried(call, *args):
    try:
        return str(call(*args))
    except OSError as error:
        return errno.errorcode[error.errno]

def write(path):
    with open(path, "x") as f:
        f.write("x")
    return "done"

def connect(port):
    socket.create_connection(("127.0.0.1", port), 5).close()
    return "done"

def unshare():
    if libc.unshare(0x10000000):
        raise OSError(ctypes.get_errno(), "")
    return "done"

def remount():
    if libc.mount(None, b"/", None, 32 | 4096, None):
        raise OSError(ctypes.get_errno(), "")
    return "done"

def child(queue):
    queue.put(os.getpid())

def main(params, context):
    print("out")
    left = tried(write, "/tmp/cpulb-" + params["name"])
    seen = {"tmp": left, "beside": tried(write, params["beside"]), "network": tried(connect, params["port"])}
    if params["walls"]:  # root may remount, else
        seen["remount"] = tried(remount)
    if params["private"]:
        seen["only"] = os.listdir("/tmp") == ["cpulb-" + params["name"]]
        queue = multiprocessing.Queue()
        process = multiprocessing.Process(target=child, args=(queue,))
        process.start()
        seen["child"] = queue.get() == process.pid
        process.join()
    if not params["private"] and left == "done":
        os.unlink("/tmp/cpulb-" + params["name"])
    if params["filtered"]:
        seen["unshare"] = tried(unshare)
    return seen
`

func TestATaskReachesNothingBeyondThePoolsWalls(t *testing.T) {
	elsewhere(t)
	for name, c := range map[string]struct{ settings, want map[string]string }{
		"no walls":    {nil, map[string]string{"tmp": "done", "beside": "done", "network": "done"}},
		"private_tmp": {map[string]string{"private_tmp": "true"}, map[string]string{"tmp": "done", "beside": "done", "network": "done"}},
		"network":     {map[string]string{"network": "false"}, map[string]string{"tmp": "done", "beside": "done", "network": "ECONNREFUSED"}},
		"read_only":   {map[string]string{"read_only": "true"}, map[string]string{"tmp": "EROFS", "beside": "EROFS", "network": "done"}},
		"system_calls": {map[string]string{"system_calls": "scripts"},
			map[string]string{"tmp": "done", "beside": "done", "network": "done", "unshare": "EPERM"}},
		"all": {map[string]string{"private_tmp": "true", "network": "false", "read_only": "true", "system_calls": "scripts", "max_tasks": "2"},
			map[string]string{"tmp": "done", "beside": "EROFS", "network": "ECONNREFUSED", "unshare": "EPERM"}},
	} {
		t.Run(name, func(t *testing.T) {
			if err := unavailable(t, c.settings); err != nil {
				if !strings.Contains(err.Error(), "the kernel gives ") {
					t.Fatal(err)
				}
				t.Skip(err)
			}
			wantWalls(t, c.settings, c.want)
		})
	}
}

func wantWalls(t *testing.T, settings, expected map[string]string) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p, path := openApart(t, settings), written(t, looksAround)
	beside := filepath.Join(t.TempDir(), "beside")
	private := settings["private_tmp"] != ""
	for _, round := range []string{"first", "second"} {
		want := map[string]any{}
		for k, v := range expected {
			want[k] = v
		}
		if private { // also of the second: a process that has had a child takes no further task
			want["only"], want["child"] = true, true
		}
		if settings != nil {
			want["remount"] = "EPERM"
		}
		params, err := json.Marshal(map[string]any{"name": filepath.Base(os.Getenv("TMPDIR")) + round, "beside": beside + round,
			"port": l.Addr().(*net.TCPAddr).Port, "walls": settings != nil, "private": private, "filtered": settings["system_calls"] != ""})
		if err != nil {
			t.Fatal(err)
		}
		o := p.run(path, string(params))
		seen := map[string]any{}
		if o.Status != task.Completed || o.Stdout != "out\n" {
			t.Fatalf("%+v", o)
		}
		if err := json.Unmarshal(o.Data, &seen); err != nil || !maps.Equal(seen, want) {
			t.Errorf("%s: %v\n got %v\nwant %v", round, err, seen, want)
		}
	}
}

func TestWallsStandAroundWhoHasBecomeTheCaller(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may become another")
	}
	elsewhere(t)
	p := openApart(t, map[string]string{"user": "caller", "private_tmp": "true", "network": "false", "read_only": "true", "system_calls": "scripts"})
	p.seq++
	nobody := uint32(65534)
	if err := p.Slot(0).Send(&plugins.Task{Seq: p.seq, ID: "task", Source: looksAround, Function: "main", Type: task.CPUBound, Attempt: 1,
		Params: []byte(`{"name": "x", "beside": "/var/x", "port": 1, "walls": true, "private": true, "filtered": true}`), RunAs: &nobody}); err != nil {
		t.Fatal(err)
	}
	var o plugins.Outcome
	select {
	case o = <-p.ended:
	case <-p.Done():
		t.Fatal(p.Exit())
	}
	wantData(t, o, `{"tmp":"done","beside":"EROFS","network":"ECONNREFUSED","remount":"EPERM","only":true,"child":true,"unshare":"EPERM"}`)
}

func TestTheFoldersOfPrivateTmpHaveABound(t *testing.T) {
	elsewhere(t)
	settings := map[string]string{"private_tmp": "true"}
	if err := unavailable(t, settings); err != nil {
		t.Skip(err)
	}
	p := openApart(t, settings)
	o := p.run(written(t, `import errno, os
def main(params, context):
    found = os.statvfs("/tmp")
    return [found.f_blocks * found.f_frsize, found.f_files]
`), "1")
	wantData(t, o, "[268435456,65536]")
}

func TestWallsThatCantBeHadAreRefusedInWords(t *testing.T) {
	for name, c := range map[string]struct {
		settings map[string]string
		want     string
	}{
		"no such set":   {map[string]string{"system_calls": "all"}, `system_calls: "all" is not a set of system calls (allowed: "scripts")`},
		"neither":       {map[string]string{"read_only": "perhaps"}, `read_only: "perhaps" is neither true nor false`},
		"of threads":    {map[string]string{"isolation": "thread", "private_tmp": "true"}, `private_tmp needs isolation = "process"`},
		"beneath a tmp": {map[string]string{"private_tmp": "true", "script_dirs": "/tmp"}, "private_tmp: tasks would not see "},
	} {
		t.Run(name, func(t *testing.T) {
			e := New("test", nil)
			all := map[string]string{"isolation": "process"}
			maps.Copy(all, c.settings)
			_, err := e.Configure(context.Background(), plugins.Configuration{Slots: 1, RuntimeDir: t.TempDir(), Settings: all})
			if !errors.Is(err, plugins.ErrBadSetting) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

// A worker that has given up root's rights takes its walls in a namespace of users.
func TestAWorkerOfAUserHasWalls(t *testing.T) {
	if err := supervisor.MayChangeUser(); err != nil {
		t.Skip("workers can't have another user here:", err)
	}
	elsewhere(t)
	user, err := supervisor.FindUser("65534", "65534")
	if err != nil {
		t.Fatal(err)
	}
	err = unavailableTo(t, user, map[string]string{"private_tmp": "true", "network": "false", "read_only": "true"})
	if err != nil && strings.Contains(err.Error(), "the kernel gives the user no user namespace") {
		t.Skip(err)
	}
	if err != nil {
		t.Error(err)
	}
}
