package e2e_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// wallAttacks are the functions of testdata/walls/adversary.py, by their rows.
func wallAttacks() map[string]string {
	return map[string]string{
		"the journal and all else in the state folder":                   "state",
		"tasks of others, listed on the daemon's socket":                 "listing",
		"others' params in `/proc/*/cmdline` and `environ`":              "arguments",
		"the environment of another pool's worker":                       "environment",
		"the daemon's memory":                                            "memory_daemon",
		"others' params in the memory of its worker":                     "memory_worker",
		"the memory of another task of the pool":                         "memory_neighbour",
		"the memory of another pool's task":                              "memory_other",
		"private files of another task of the pool":                      "own_files_neighbour",
		"private files of another pool's task":                           "own_files_other",
		"the runtime folder of another pool's worker":                    "run_folder",
		"signal the daemon":                                              "kill_daemon",
		"signal its worker":                                              "kill_worker",
		"signal another task of the pool":                                "kill_neighbour",
		"signal another pool's task":                                     "kill_other",
		"trace and stop the daemon":                                      "trace_daemon",
		"trace and stop another task of the pool":                        "trace_neighbour",
		"trace and stop another pool's task":                             "trace_other",
		"the control socket of its worker":                               "control_own",
		"the control socket of another pool's worker":                    "control_other",
		"the slots' socket of another pool's worker":                     "slots_other",
		"a connection to the daemon among its descriptors":               "descriptors",
		"the daemon's descriptors, by `pidfd_getfd`":                     "descriptors_daemon",
		"its worker's descriptors, by `pidfd_getfd`":                     "descriptors_worker",
		"write into every descriptor that it has":                        "write_everywhere",
		"close every descriptor that it has":                             "close_all",
		"begin a line of the daemon's log":                               "forge_log",
		"leave 20 children in sessions of their own that ignore signals": "children",
		"daemonise, with an empty environment":                           "daemonise",
		"a bomb of 64 processes":                                         "bomb",
		"take 3 GiB of memory":                                           "memory_bomb",
		"leave 8 MiB in `/tmp`":                                          "fill_tmp",
		"lower its hard limits":                                          "lower_limits",
		"raise its hard limits":                                          "raise_limits",
		"change the daemon's limits":                                     "limits_daemon",
		"change the limits of another pool's task":                       "limits_other",
		"become root, or take root's group":                              "become_root",
		"become another user":                                            "become_other",
		"hold a capability":                                              "capabilities",
		"become root by a set-uid program":                               "run_setuid",
	}
}

// replaced is what a cell says when the attack costs the worker.
const replaced = ", its worker is replaced"

// For how long what a task leaves stays.
const (
	gone        = "gone with it"
	untilWorker = "until its worker ends"
	outlives    = "may outlive its worker"
)

// TestWhatAScriptReachesIsAsTheSecurityPageSays: in each kind of pool, an adversary's
// script tries everything while another task of its pool and one of another pool run.
// These complete, the next task of the pool does, and the daemon stays.
func TestWhatAScriptReachesIsAsTheSecurityPageSays(t *testing.T) {
	t.Parallel()
	nobody(t)
	columns, table := rows(t, "| a script tries to reach |")
	kinds, attacks := walls(), wallAttacks()
	for row := range attacks {
		if table[row] == nil {
			t.Errorf("docs/security.md does not say what comes of it: %s", row)
		}
	}
	for i, column := range columns {
		w, ok := kinds[column]
		if !ok {
			t.Errorf("there is no kind of pool %q", column)
			continue
		}
		t.Run(column, func(t *testing.T) {
			t.Parallel()
			b := besiege(t, w)
			for n, row := range slices.Sorted(maps.Keys(table)) {
				if attacks[row] == "" {
					t.Errorf("can't be executed: %s", row)
					continue
				}
				if (n+i)%inShort(3, 1) != 0 { // with -short each in two kinds of pool, and in each kind every third
					continue
				}
				if got := b.endure(attacks[row], table[row][i]); got != table[row][i] {
					t.Errorf("%s: %s, and the page says %s", row, got, table[row][i])
				}
			}
			b.endsAll()
		})
	}
}

// endure has one attack made, and words what came of it.
func (b *besieged) endure(attack, wanted string) string {
	b.t.Helper()
	dir := folder(b.t, 0o777)
	before, others := b.pids("own"), b.pids("other")
	v := map[string]*victim{"neighbour": b.victim("own", "neighbour", dir), "other": b.victim("other", "other", dir)}
	workers := slices.Collect(maps.Values(before))
	run, own := lodgings(b.t, workers)
	mark := "1000." + strconv.FormatInt(time.Now().UnixNano(), 10)
	params := map[string]any{"attack": attack, "folder": dir, "mark": mark, "setuid": b.setuid, "socket": b.socket,
		"state": filepath.Join(filepath.Dir(b.socket), "state"), "run": run, "own_folders": own,
		"daemon": b.own.PID(), "workers": workers, "other_worker": others["other-0"],
		"neighbour": v["neighbour"].pid, "other": v["other"].pid, "tasks": []string{v["neighbour"].id, v["other"].id},
		"neighbour_secret": v["neighbour"].secret, "other_secret": v["other"].secret, "environment_secret": b.environment}
	b.log.Reset()
	r := b.as(b.caller).result(b.hand(b.caller, "own", "adversary.py", params))
	write(b.t, filepath.Join(dir, "go"), "")
	for who, victim := range v {
		if r := b.as(b.another).result(victim.id); r["status"] != "completed" || r["data"] != "SECRET-"+victim.secret {
			b.t.Errorf("%s: the %s's task: %v\n%s", attack, who, r, b.log)
		}
	}
	if r := b.as(b.another).result(b.hand(b.another, "own", "next.py", map[string]any{})); r["status"] != "completed" {
		b.t.Errorf("%s: the pool's next task: %v\n%s", attack, r, b.log)
	}
	select {
	case <-b.own.Ended():
		b.t.Fatalf("%s: the daemon has ended\n%s", attack, b.log)
	default:
	}
	if now := b.pids("other"); !reflect.DeepEqual(now, others) {
		b.t.Errorf("%s: the other pool's workers were %v, and are %v", attack, others, now)
	}
	got := b.outcome(attack, mark, wanted, r)
	if b.changed(before, strings.HasSuffix(wanted, replaced)) {
		got += replaced
	}
	return got
}

// outcome words what came of the attack itself. What is to vanish, may take its time.
func (b *besieged) outcome(attack, mark, wanted string, r map[string]any) string {
	stays := func(there func() bool) string {
		if strings.HasPrefix(wanted, gone) {
			b.until(attack+": it is gone", func() bool { return !there() })
		}
		if !there() {
			return gone
		}
		return "stays"
	}
	said, _ := r["data"].(string)
	if r["status"] != "completed" {
		said = "`" + code(r) + "`"
		if said == "`exception`" || said == "``" {
			b.t.Errorf("%s: %v", attack, r)
		}
	}
	switch attack {
	case "write_everywhere", "close_all":
		if said == "done" || said == "`exit`" { // whether its result still comes, is its own affair
			return "itself alone"
		}
	case "forge_log":
		said = "refused"
		for line := range strings.Lines(b.log.String()) {
			if strings.HasPrefix(strings.TrimLeft(line, "\r "), "<0>") {
				said = "reached"
			}
		}
	case "children", "daemonise", "bomb":
		if said != "done" {
			return said
		}
		if stays(func() bool { return len(marked(mark)) > 0 }) == gone {
			return gone
		}
		if b.left[mark] = outlives; strings.HasPrefix(wanted, untilWorker) {
			b.left[mark] = untilWorker
		}
		return b.left[mark] // for now: see endsAll
	case "fill_tmp":
		path := filepath.Join(os.TempDir(), mark)
		defer os.Remove(path)
		return stays(func() bool { _, err := os.Stat(path); return err == nil })
	}
	return said
}

// changed says whether the pool has other workers than before; those that are to come may
// take their time.
func (b *besieged) changed(before map[string]int, wanted bool) bool {
	if wanted {
		b.until("a worker is replaced", func() bool {
			now := b.pids("own")
			return len(now) == len(before) && !reflect.DeepEqual(now, before)
		})
	}
	return !reflect.DeepEqual(b.pids("own"), before)
}

// endsAll ends the daemon with its workers, and holds what scripts have left, in whatever
// session, to what was said of it.
func (b *besieged) endsAll() {
	b.t.Helper()
	b.stop()
	for mark, said := range b.left {
		pids := marked(mark)
		if len(pids) > 0 && said != outlives {
			b.t.Errorf("%d processes of scripts outlive the workers, and the page says: %s", len(pids), said)
		}
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// victim is somebody's task that runs, with a secret.
type victim struct {
	id, secret string
	pid        int
}

// victim has one run until dir has a file "go".
func (b *besieged) victim(pool, name, dir string) *victim {
	b.t.Helper()
	v := &victim{secret: secret()}
	v.id = b.hand(b.another, pool, "victim.py", map[string]any{"folder": dir, "name": name, "secret": "SECRET-" + v.secret})
	b.until("the "+name+"'s task runs", func() bool {
		text, err := os.ReadFile(filepath.Join(dir, "pid-"+name))
		if err != nil {
			if _, view := b.call("GET", "/v1/tasks/"+v.id, ""); view["status"] == "failed" {
				b.t.Fatalf("the %s's task: %v\n%s", name, b.result(v.id), b.log)
			}
			return false
		}
		v.pid, err = strconv.Atoi(string(text))
		return err == nil
	})
	return v
}

// hand submits a task of a script of testdata/walls.
func (b *besieged) hand(uid int, pool, name string, params map[string]any) string {
	b.t.Helper()
	text, err := json.Marshal(params)
	if err != nil {
		b.t.Fatal(err)
	}
	kind := map[string]string{"own": "io_bound", "other": "cpu_bound"}[pool]
	status, answer := b.as(uid).call("POST", "/v1/tasks", fmt.Sprintf(`{"script_path":%q,"pool":%q,"task_type":%q,"on_worker_lost":%q,"params":%s}`,
		filepath.Join(b.scripts, name), pool, kind, map[bool]string{true: "fail", false: "requeue"}[name == "adversary.py"], text))
	if status != 202 {
		b.t.Fatalf("%s: %d %v\n%s", name, status, answer, b.log)
	}
	return answer["task_id"].(string)
}
