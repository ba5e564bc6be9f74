package embedpy_test

import (
	"encoding/json"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cpulb/embedpy"
)

// walls forks processes, as a template does, and has each say what it can reach.
const walls = `
import _embedpy, errno, json, os, socket

def denied(call, *args):
    """Return the name of the error, or what the call returned."""
    try:
        result = call(*args)
    except OSError as error:
        return errno.errorcode[error.errno]
    return result if type(result) is bool else "done"

def write(path):
    with open(path, "w") as f:
        f.write("x")
    os.unlink(path)

def connect(port):
    socket.create_connection(("127.0.0.1", port), 5).close()

def look(port, here, output, walled):
    os.write(output, b"written")
    _libc = __import__("ctypes").CDLL(None, use_errno=True)
    def system(call, *args):
        if call(*args) < 0:
            code = __import__("ctypes").get_errno()
            raise OSError(code, "")
    seen = {
        "tmp is empty": not os.listdir("/tmp"),
        "tmp": denied(write, "/tmp/cpulb-walls-%d" % os.getpid()),
        "beside": denied(write, here),
        "network": denied(connect, port),
        "uid": os.getuid(),
    }
    if walled:  # root may, else, and the mounts would be everybody's
        seen["remounts"] = denied(system, _libc.mount, None, b"/", None, 32 | 4096, None)
        seen["unmounts"] = denied(system, _libc.umount2, b"/tmp", 2)
    return seen

def inside(port, here, uid, private_tmp, network, read_only):
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            result = one(port, here, uid, private_tmp, network, read_only)
        except BaseException as error:
            result = {"error": str(error)}
        os.write(theirs, json.dumps(result).encode())
        os._exit(0)
    os.close(theirs)
    with open(ours, "rb") as f:
        result = f.read()
    os.waitpid(pid, 0)
    return result.decode(),

def one(port, here, uid, private_tmp, network, read_only):
    output = os.open(here + ".out", os.O_WRONLY | os.O_CREAT)
    if uid < 0:
        return late(port, here, output, -uid, private_tmp, network, read_only)
    if uid:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        # A program that is executed is dumpable again; this process is not executed.
        __import__("ctypes").CDLL(None).prctl(4, 1, 0, 0, 0)
    _embedpy.enclose(private_tmp, network, read_only, b"", False)
    for step in range(3):
        _embedpy.wall_in(step)
    return look(port, here, output, private_tmp or read_only or not network)

def late(port, here, output, uid, private_tmp, network, read_only):
    """Be one who may become anybody, but not mount."""
    ctypes = __import__("ctypes")
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(8, 1, 0, 0, 0)  # it keeps its capabilities
    os.setresgid(uid - 1, uid - 1, uid - 1)
    os.setresuid(uid - 1, uid - 1, uid - 1)
    libc.prctl(4, 1, 0, 0, 0)
    header, caps = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    caps[0] = caps[1] = 1 << 0 | 1 << 6 | 1 << 7  # chown, setgid, setuid
    if libc.capset(header, caps):
        raise OSError(ctypes.get_errno(), "capset")
    _embedpy.enclose(private_tmp, network, read_only, b"", True)
    _embedpy.wall_in(0)
    _embedpy.wall_in(1)
    for end in (1, 2):
        os.dup2(os.pipe()[1], end)
    _embedpy.become(uid, uid, ())
    _embedpy.wall_in(2)
    return look(port, here, output, private_tmp or read_only or not network)
`

type wall struct{ privateTmp, network, readOnly bool }

// seenFrom returns what a process within the walls can reach, with the user of that number.
func seenFrom(t *testing.T, w wall, uid int64) map[string]any {
	t.Helper()
	port, here := listen(t), beside(t)
	seen := map[string]any{}
	onThread(t, func(h *host, p *embedpy.Thread, _ func(string) *embedpy.Object) {
		if err := h.Load("walls", "walls.py", walls); err != nil {
			t.Error(err)
			return
		}
		inside, err := p.Attr("walls", "inside")
		if err != nil {
			t.Error(err)
			return
		}
		r, err := p.Call(inside, embedpy.Int(port), embedpy.Str(here), embedpy.Int(uid), flag(w.privateTmp), flag(w.network), flag(w.readOnly))
		if err != nil {
			t.Error(err)
			return
		}
		if err := json.Unmarshal([]byte(r.String(0)), &seen); err != nil {
			t.Error(err)
		}
	})
	if why, failed := seen["error"].(string); failed {
		if strings.Contains(why, ": the kernel gives ") {
			t.Skip("not here: " + why)
		}
		t.Fatal(why)
	}
	return seen
}

func flag(b bool) embedpy.Value {
	if b {
		return embedpy.Int(1)
	}
	return embedpy.Int(0)
}

func TestAProcessReachesNothingBeyondItsWalls(t *testing.T) {
	users := map[string]int64{"as it is": 0}
	if os.Getuid() == 0 {
		users["as nobody, in a user namespace"] = 65534
		users["as nobody, once it has become that"] = -65534
	}
	for name, c := range map[string]struct {
		wall wall
		want map[string]any
	}{
		"none":        {wall{network: true}, map[string]any{"tmp is empty": false, "tmp": "done", "beside": "done", "network": "done"}},
		"private_tmp": {wall{privateTmp: true, network: true}, map[string]any{"tmp is empty": true, "tmp": "done", "beside": "done", "network": "done"}},
		"network":     {wall{}, map[string]any{"tmp is empty": false, "tmp": "done", "beside": "done", "network": "ECONNREFUSED"}},
		"read_only":   {wall{readOnly: true, network: true}, map[string]any{"tmp is empty": false, "tmp": "EROFS", "beside": "EROFS", "network": "done"}},
		"all":         {wall{privateTmp: true, readOnly: true}, map[string]any{"tmp is empty": true, "tmp": "done", "beside": "EROFS", "network": "ECONNREFUSED"}},
	} {
		for who, uid := range users {
			t.Run(name+", "+who, func(t *testing.T) {
				seen := seenFrom(t, c.wall, uid)
				want := maps.Clone(c.want)
				want["uid"] = float64(uid)
				if uid < 0 {
					want["uid"] = float64(-uid)
				}
				if uid == 0 {
					want["uid"] = float64(os.Getuid())
				}
				if c.wall != (wall{network: true}) {
					want["remounts"], want["unmounts"] = "EPERM", "EPERM"
				}
				if !maps.Equal(seen, want) {
					t.Errorf("\n got %v\nwant %v", seen, want)
				}
			})
		}
	}
}

func TestAnOptionThatCantBeHadIsNamed(t *testing.T) {
	seen := map[string]any{}
	onThread(t, func(h *host, p *embedpy.Thread, _ func(string) *embedpy.Object) {
		if err := h.Load("refused", "refused.py", refusedWalls); err != nil {
			t.Error(err)
			return
		}
		inside, err := p.Attr("refused", "inside")
		if err != nil {
			t.Error(err)
			return
		}
		r, err := p.Call(inside)
		if err != nil {
			t.Error(err)
			return
		}
		seen["why"] = r.String(0)
	})
	why, _ := seen["why"].(string)
	if strings.HasSuffix(why, "unshare") {
		t.Skip("the kernel gives no user namespace")
	}
	if !strings.HasPrefix(why, "read_only: the kernel gives the user no user namespace: ") {
		t.Errorf("%q", why)
	}
}

// refusedWalls has a process whose user may have no user namespace ask for one.
const refusedWalls = `
import _embedpy, ctypes, os

CLONE_NEWUSER = 0x10000000

def inside():
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            within()
            _embedpy.enclose(False, True, True, b"", False)
            why = "it is there"
        except BaseException as error:
            why = str(error)
        os.write(theirs, why.encode())
        os._exit(0)
    os.close(theirs)
    with open(ours, "rb") as f:
        why = f.read().decode()
    os.waitpid(pid, 0)
    return why,

def within():
    """Have no CAP_SYS_ADMIN, in a namespace of users that has room for no other."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), "unshare")
    with open("/proc/sys/user/max_user_namespaces", "w") as f:
        f.write("0")
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    if libc.capset(header, (ctypes.c_uint32 * 6)()):
        raise OSError(ctypes.get_errno(), "capset")
`

// listen returns the port of somebody who accepts connections from this machine.
func listen(t *testing.T) int64 {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return int64(l.Addr().(*net.TCPAddr).Port)
}

// beside returns the name of a file to be, in a folder that is not beneath /tmp and that all may write.
func beside(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/var/lib", "cpulb-walls")
	if err != nil { // not root; the sources themselves may be beneath /tmp, where this can't be tested
		dir, err = os.MkdirTemp(".", "walls")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "x")
}
