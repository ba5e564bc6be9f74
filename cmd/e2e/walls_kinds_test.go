package e2e_test

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The users of the table of walls in docs/security.md. None of them needs an account.
const (
	wallDaemon = 12100 // whose the daemon is
	wallPool   = 12101 // whose the attacker's pool is, where it has a user
	wallOther  = 12102 // whose the other pool is
)

// wall is a kind of pool: the lines of the attacker's, and those of the other one, which
// is of the same kind.
type wall struct{ own, other string }

// walls are the kinds, by their columns in the table.
func walls() map[string]wall {
	const threads, exclusive, process = "workers = 1\n threads = 4\n pin = false\n", "workers = 2\n threads = 1\n pin = false\n", "workers = 1\n threads = 4\n pin = false\n isolation = \"process\"\n"
	as := func(id int) string { return fmt.Sprintf(" user = \"%d\"\n group = \"%d\"\n", id, id) }
	return map[string]wall{
		"threads":         {threads, threads},
		"exclusive":       {exclusive, exclusive},
		"process":         {process, process},
		"user":            {threads + as(wallPool), threads + as(wallOther)},
		"process, user":   {process + as(wallPool), process + as(wallOther)},
		"process, caller": {process + asCaller, process + asCaller},
	}
}

// asCaller has tasks run as who has submitted them. Those need accounts, and every system
// has these; as the system's own they are to be named.
const asCaller = " user = \"caller\"\n users = [\"games\", \"news\"]\n"

const wallConfig = `
executor "python" { command = "%s" }
executor "other" {
  command = "%s"
  env     = { WALL_SECRET = "SECRET-%s" }
}
pool "own" {
  executor   = "python"
  task_types = ["io_bound"]
  %s
}
pool "other" {
  executor   = "other"
  task_types = ["cpu_bound"]
  %s
}
limits { drain_timeout = "1s" }
socket { mode = "0666" }
`

// besieged is a daemon that runs as the packaged one does: as a user of its own, with the
// capabilities of the unit and no way to more.
type besieged struct {
	*answers
	environment string            // the secret in that of the other pool's worker
	left        map[string]string // for how long they stay whom scripts have left, by their marks
	scripts     string            // a copy of testdata/walls that everybody may read
	setuid      string            // a program that would make root of whoever runs it
	caller      int               // who submits the attacks
	another     int               // who submits the tasks beside
}

func besiege(t *testing.T, w wall) *besieged {
	t.Helper()
	bin, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	b := &besieged{environment: secret(), left: map[string]string{}}
	b.caller, b.another = caller, another
	if strings.Contains(w.own, asCaller) {
		b.caller, b.another = account(t, "games"), account(t, "news")
	}
	w.own += " memory = \"1GiB\"\n"
	python := filepath.Join(bin, "cpulb-python")
	d := lay(t, nil, fmt.Sprintf(wallConfig, python, python, b.environment, w.own, w.other))
	dir := filepath.Dir(d.socket)
	if err := errors.Join(os.Chown(dir, wallDaemon, wallDaemon), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	d.args = slices.DeleteFunc(d.args, func(arg string) bool { return arg == "-private" })
	d.args = append(asThePackagedOne(t), d.args...)
	d.launch()
	b.answers = &answers{d, ""}
	b.scripts = filepath.Join(folder(t, 0o755), "walls")
	if err := os.CopyFS(b.scripts, os.DirFS("testdata/walls")); err != nil {
		t.Fatal(err)
	}
	b.setuid = filepath.Join(folder(t, 0o755), "id")
	if out, err := exec.Command("sh", "-c", `cp "$(command -v id)" "$1" && chmod 4755 "$1"`, "sh", b.setuid).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return b
}

// asThePackagedOne is the command that takes a program to the user and the privileges that
// systemd/cpulbd.service gives it.
func asThePackagedOne(t *testing.T) []string {
	t.Helper()
	program, err := exec.LookPath("setpriv")
	if err != nil {
		t.Skip("there is no setpriv, by which the daemon gets the privileges of its unit")
	}
	unit, err := os.ReadFile("../../systemd/cpulbd.service")
	if err != nil {
		t.Fatal(err)
	}
	var add []string
	for _, line := range regexp.MustCompile(`(?m)^AmbientCapabilities=(.*)$`).FindAllStringSubmatch(string(unit), -1) {
		for name := range strings.FieldsSeq(line[1]) {
			add = append(add, "+"+strings.ToLower(strings.TrimPrefix(name, "CAP_")))
		}
	}
	caps := strings.Join(append([]string{"-all"}, add...), ",")
	id := strconv.Itoa(wallDaemon)
	args := []string{program, "--reuid", id, "--regid", id, "--clear-groups", "--inh-caps", caps, "--ambient-caps", caps, "--bounding-set", caps}
	if regexp.MustCompile(`(?m)^NoNewPrivileges=yes$`).Match(unit) {
		args = append(args, "--no-new-privs")
	}
	return append(args, "--pdeathsig", "TERM")
}

// account is the user of that name.
func account(t *testing.T, name string) int {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		t.Skip(err)
	}
	id, _ := strconv.Atoi(u.Uid)
	return id
}

// secret is 32 hexadecimal digits; whoever has it has them behind "SECRET-".
func secret() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// pids are those of a pool's workers, by their seats; one that stands in for these has none.
func (b *besieged) pids(pool string) map[string]int {
	b.t.Helper()
	all, seat := map[string]int{}, regexp.MustCompile("^"+pool+`-\d+$`)
	for _, w := range b.workers() {
		if id, _ := w["id"].(string); seat.MatchString(id) && w["state"] == "ready" {
			all[id] = int(w["pid"].(float64))
		}
	}
	return all
}

// lodgings are the folders of workers, and that which they are in.
func lodgings(t *testing.T, pids []int) (all string, own []string) {
	t.Helper()
	for _, pid := range pids {
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		found := regexp.MustCompile(`(?:^|\x00)PLUGIN_UNIX_SOCKET_DIR=((.*?)/\d+/)`).FindSubmatch(env)
		if err != nil || found == nil {
			t.Fatalf("the folder of the worker %d: %v\n%q", pid, err, env)
		}
		all, own = string(found[2]), append(own, string(found[1]))
	}
	return all, own
}

// marked returns the processes that have a word among their arguments.
func marked(word string) (pids []int) {
	paths, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range paths {
		if text, err := os.ReadFile(path); err == nil && slices.Contains(strings.Split(string(text), "\x00"), word) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			pids = append(pids, pid)
		}
	}
	return pids
}
