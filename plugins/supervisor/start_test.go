package supervisor_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"cpulb/plugins"
	"cpulb/plugins/supervisor"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
)

// What can't be started is a clear error and leaves nothing.

func TestHashMismatchIsRefused(t *testing.T) {
	b := newBox(t)
	spec := b.spec("executor")
	spec.SHA256 = strings.Repeat("0", 64)
	if err := b.fails(t.Context(), spec); !errors.Is(err, supervisor.ErrHash) {
		t.Fatal(err)
	}
	program, err := os.ReadFile(spec.Command)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(program)
	spec.SHA256 = strings.ToUpper(hex.EncodeToString(sum[:]))
	b.start(spec, recorders)
}

func TestAMissingProgramIsAClearError(t *testing.T) {
	b := newBox(t)
	spec := b.spec("executor")
	for _, path := range []string{filepath.Join(b.dir, "nothing"), b.dir, "/dev/null"} {
		spec.Command = path
		if err := b.fails(t.Context(), spec); !errors.Is(err, supervisor.ErrNotFound) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestNotAPluginIsAClearError(t *testing.T) {
	b := newBox(t)
	for role, says := range map[string]string{
		"exits":   "exit status 3; its last words: no such option: not an executor",
		"hello":   "Hello, world",
		"chatter": "",
		"garbage": "\uFFFD",
		"liar":    "",
	} {
		err := b.fails(t.Context(), b.spec(role))
		t.Logf("%s: %v", role, err)
		if !errors.Is(err, supervisor.ErrNotExecutor) || !strings.Contains(err.Error(), says) || strings.ContainsAny(err.Error(), "\n\x1b\x00") ||
			!utf8.ValidString(err.Error()) || len(err.Error()) > 1000 {
			t.Errorf("%s: %q", role, err)
		}
	}
}

func TestAFileThatIsNoProgramIsAClearError(t *testing.T) {
	b := newBox(t)
	spec := b.spec("executor")
	for text, mode := range map[string]os.FileMode{"just text": 0o700, "#!/nonexistent/interpreter\n": 0o700, "not executable": 0o600} {
		spec.Command = filepath.Join(t.TempDir(), "program")
		if err := os.WriteFile(spec.Command, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		err := b.fails(t.Context(), spec)
		t.Logf("%q: %v", text, err)
		if !errors.Is(err, supervisor.ErrNotExecutor) || !strings.Contains(err.Error(), spec.Command) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestAProgramThatSaysNothingIsGivenUp(t *testing.T) {
	b := newBox(t)
	spec := b.spec("mute")
	spec.StartTimeout = 100 * time.Millisecond
	if err := b.fails(t.Context(), spec); !errors.Is(err, supervisor.ErrStartTimeout) {
		t.Fatal(err)
	}
}

func TestAStartEndsWithItsContext(t *testing.T) {
	b := newBox(t)
	gone := errors.New("the daemon stops")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	if err := b.fails(ctx, b.spec("mute")); !errors.Is(err, gone) {
		t.Fatal(err)
	}
}

func TestAnEscapedChildOfAFailedProgramEndsWithIt(t *testing.T) {
	b := newBox(t)
	err := b.fails(t.Context(), b.spec("escapes"))
	_, after, _ := strings.Cut(err.Error(), "child ")
	text, _, _ := strings.Cut(after, ":")
	child, convErr := strconv.Atoi(text)
	if convErr != nil {
		t.Fatalf("%v: %v", convErr, err)
	}
	if process, err := os.FindProcess(child); err == nil && process.Signal(syscall.Signal(0)) == nil && !zombie(child) {
		t.Error("it lives on")
	}
}

// zombie tells whether a process has ended and nobody has waited for it: so it
// stays where process 1 does not care.
func zombie(pid int) bool {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(line), ") Z ")
}

func TestAnExecutorOfAnotherVersionIsToldFromNone(t *testing.T) {
	b := newBox(t)
	err := b.fails(t.Context(), b.spec("other"))
	if !errors.Is(err, plugins.ErrVersion) || errors.Is(err, supervisor.ErrNotExecutor) ||
		!strings.HasSuffix(err.Error(), "no protocol version in common: the executor speaks version 99 of the protocol, this daemon 1") {
		t.Error(err)
	}
}

func TestABadSettingIsBlamed(t *testing.T) {
	b := newBox(t)
	spec := b.spec("executor")
	spec.Settings = map[string]string{"refuse": "no such folder"}
	err := b.fails(t.Context(), spec)
	if !errors.Is(err, plugins.ErrBadSetting) || !strings.Contains(err.Error(), "no such folder") || strings.Contains(err.Error(), "killed") {
		t.Fatal(err)
	}
}

func TestAnExecutorWithoutALoopIsNotAskedForOne(t *testing.T) {
	b := newBox(t)
	spec := b.spec("executor")
	spec.LoopSlots = 10
	err := b.fails(t.Context(), spec)
	if !errors.Is(err, plugins.ErrBadSetting) || !strings.Contains(err.Error(), "async_concurrency: the executor fake has no event loop") {
		t.Fatal(err)
	}
}

func TestARuntimeThatDiesAtItsStartLeavesItsWords(t *testing.T) {
	b := newBox(t)
	spec := b.spec("executor")
	spec.Settings = map[string]string{"die": "Fatal: no module named encodings"}
	err := b.fails(t.Context(), spec)
	if err == nil || !strings.Contains(err.Error(), "exit status 7; its last words: Fatal: no module named encodings") {
		t.Fatal(err)
	}
}

func TestAPathTooLongForSocketsIsAClearError(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("x", 90))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := supervisor.NewLauncher(dir, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b := &box{t, l, dir}
	if err := b.fails(t.Context(), b.spec("executor")); !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "too long") {
		t.Fatal(err)
	}
}

func TestAFolderThatIsGoneIsMadeAnew(t *testing.T) {
	b := newBox(t)
	if err := os.Remove(b.dir); err != nil {
		t.Fatal(err)
	}
	p := b.start(b.spec("executor"), recorders)
	if _, err := p.Stats(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestTooFewDescriptorsAreNotTheProgramsFault(t *testing.T) {
	b := newBox(t)
	var old unix.Rlimit
	if err := unix.Prlimit(0, unix.RLIMIT_NOFILE, nil, &old); err != nil {
		t.Fatal(err)
	}
	restore := func() {
		if err := unix.Prlimit(0, unix.RLIMIT_NOFILE, &old, nil); err != nil {
			t.Fatal(err)
		}
	}
	defer restore()
	if err := unix.Prlimit(0, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: old.Max}, nil); err != nil {
		t.Fatal(err)
	}
	err := b.fails(t.Context(), b.spec("executor"))
	restore()                                   // before anything is reported
	_ = os.RemoveAll(filepath.Join(b.dir, "1")) // which takes descriptors, too
	if !errors.Is(err, supervisor.ErrSpawn) || errors.Is(err, supervisor.ErrNotExecutor) {
		t.Error(err)
	}
}
