package doctor_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cpulb/cmd/cpulb/doctor"
	"cpulb/daemon/api"
	"cpulb/daemon/task"
	"cpulb/ipc/client"
)

// sick is a host, of which a test makes some part ill.
type sick struct {
	doctor.Host
	status    string
	err       error // of the daemon
	denies    []string
	hangs     bool   // Status does
	lost      string // the call in which the connection is
	executors []api.ExecutorStatus
	says      map[string]string // what programs say, by name
	fails     map[string]bool
}

func (s *sick) Status(ctx context.Context) (json.RawMessage, error) {
	if s.hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return json.RawMessage(s.status), s.err
}
func (s *sick) Executors(context.Context) ([]api.ExecutorStatus, error) { return s.executors, s.err }
func (s *sick) Submit(context.Context, *task.Task) (task.View, error) {
	return task.View{}, s.refusal("submit")
}
func (s *sick) Stacks(context.Context, string) (string, error) { return "", s.refusal("administer") }

func (s *sick) refusal(what string) error {
	if what == s.lost {
		return errors.New("it is cut off")
	}
	for _, d := range s.denies {
		if d == what {
			return &api.Problem{Code: "not_allowed", Detail: "not you"}
		}
	}
	return &api.Problem{Code: "invalid_task"}
}

// healthy is a host on which all is well.
func healthy(t *testing.T) *sick {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{"proc/sys/kernel/osrelease": "6.1.0-9-amd64\n", "proc/meminfo": "MemTotal:       64000000 kB\n",
		"sys/fs/cgroup/cgroup.controllers": "cpu memory pids\n", "run/systemd/system/x": "", "bin/cpulb-python": "no ELF"} {
		write(t, filepath.Join(root, name), text)
	}
	state := filepath.Join(root, "var/lib/cpulb")
	if err := os.MkdirAll(state, 0o700); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(root, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s := &sick{status: `{"engine":{"is_running":true,"version":"1.2.3","pid":7},"components":{"journal":{"health":"healthy","metrics":{"sync":"group"}}}}`,
		executors: []api.ExecutorStatus{{Name: "python", Command: filepath.Join(root, "bin/cpulb-python"), SHA256: "ab", Runtime: "CPython 3.11.2", Pools: []string{"cpu"}}},
		says: map[string]string{"cpulbd": "cpulbd 1.2.3", "cpulb-python": "cpulb-python 1.2.3", "-check-config": `{"ok":true,"source":"/etc/cpulb/config.hcl","memory_bytes":10485760}`,
			"cpulbd.socket": "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\n", "cpulbd.service": "LoadState=loaded\nActiveState=active\n"},
		fails: map[string]bool{}}
	s.Host = doctor.Host{Root: root, Socket: socket, Daemon: s, Version: "1.2.3",
		Find: func(name string) (string, error) { return filepath.Join(root, "bin", name), nil },
		Flag: func(int, string) string { return "" },
		File: func(int, string) (string, error) { return "", nil },
		Run: func(_ context.Context, program string, args ...string) (string, error) {
			name := filepath.Base(program)
			if args[0] == "-check-config" {
				name = args[0]
			} else if name == "systemctl" {
				name = args[len(args)-1]
			}
			if s.fails[name] {
				return s.says[name], errors.New("exit status 1")
			}
			return s.says[name], nil
		}}
	return s
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestAHealthyMachineHasNoFailures(t *testing.T) {
	all := slices.Collect(doctor.Examine(t.Context(), &healthy(t).Host))
	for _, f := range all {
		// The fake cpulb-python is not linked with anything.
		if f.Level != doctor.OK && f.Check != "python" {
			t.Errorf("%+v", f)
		}
	}
	if len(all) < 11 {
		t.Errorf("only %d checks: %+v", len(all), all)
	}
}

func TestEachIllnessIsFoundWithItsRemedy(t *testing.T) {
	for _, c := range []struct {
		check  string
		level  doctor.Level
		ill    func(*sick)
		found  string
		remedy string
	}{
		{"kernel", doctor.Warning, func(s *sick) { write(t, s.Root+"/proc/sys/kernel/osrelease", "5.4.0") }, "openat2", "5.14"},
		{"kernel", doctor.Warning, func(s *sick) { write(t, s.Root+"/proc/sys/kernel/osrelease", "5.13.0") }, "cgroup.kill", "5.14"},
		{"cgroups", doctor.Warning, func(s *sick) { write(t, s.Root+"/sys/fs/cgroup/cgroup.controllers", "cpu pids") }, "memory", "unified"},
		{"cgroups", doctor.Warning, func(s *sick) { _ = os.RemoveAll(s.Root + "/sys") }, "not mounted", "unified"},
		{"cpulbd", doctor.Warning, func(s *sick) { s.says["cpulbd"] = "cpulbd 0.9" }, "0.9", "one version"},
		{"cpulb-python", doctor.Failed, func(s *sick) {
			s.fails["cpulb-python"], s.says["cpulb-python"] = true, "error while loading shared libraries: libpython3.11.so.1.0: cannot open shared object file: No such file"
		}, "libpython3.11", "apt install libpython3.11"},
		{"configuration", doctor.Failed, func(s *sick) {
			s.fails["-check-config"], s.says["-check-config"] = true, `{"errors":[{"file":"/etc/c.hcl","line":3,"column":1,"problem":"unknown key"}]}`
		}, "/etc/c.hcl:3:1: unknown key", "cpulb config check"},
		{"configuration", doctor.Warning, func(s *sick) {
			s.says["-check-config"] = `{"ok":true,"memory_bytes":104857598951424}`
		}, "99999999 MiB", "queue.max_bytes"},
		{"configuration", doctor.Warning, func(s *sick) { s.says["-check-config"] = `{"ok":true,"warnings":["as root"]}` }, "as root", ""},
		{"unit", doctor.Warning, func(s *sick) { s.says["cpulbd.service"] = "LoadState=not-found\nActiveState=inactive\n" }, "not installed", "systemd/"},
		{"unit", doctor.Failed, func(s *sick) { s.says["cpulbd.service"] = "LoadState=loaded\nActiveState=failed\n" }, "failed", "journalctl"},
		{"unit", doctor.Warning, func(s *sick) { s.says["cpulbd.socket"] = "LoadState=loaded\nActiveState=inactive\n" }, "can't connect", "enable --now"},
		{"socket", doctor.Failed, func(s *sick) { s.Socket += "x" }, "no socket", "systemctl start"},
		{"socket", doctor.Failed, func(s *sick) { s.Socket = s.Root + "/proc/meminfo" }, "not a socket", "--socket"},
		{"daemon", doctor.Failed, func(s *sick) { s.err = client.ErrNoDaemon }, "no daemon answers", "start it"},
		{"daemon", doctor.Failed, func(s *sick) { s.err = client.ErrNoAnswer }, "has not answered", "restart"},
		{"daemon", doctor.Failed, func(s *sick) { s.err = errors.New("malformed HTTP response") }, "is not cpulbd", "ss -xlp"},
		{"daemon", doctor.Failed, func(s *sick) { s.status = `{"hello":"world"}` }, "is not cpulbd", "ss -xlp"},
		{"daemon", doctor.Failed, func(s *sick) { s.err = fs.ErrPermission }, "may not connect", "see socket"},
		{"daemon", doctor.Warning, func(s *sick) { s.status = `{"engine":{"version":"1.2.3","draining":true}}` }, "draining", "resume"},
		{"daemon", doctor.Warning, func(s *sick) { s.status = `{"engine":{"is_running":true,"version":"1.0"}}` }, "1.0", "restart"},
		{"journal", doctor.Warning, func(s *sick) {
			s.status = `{"engine":{"version":"1.2.3"},"components":{"journal":{"health":"degraded","reason":"disk full"}}}`
		}, "disk full", "operations.md"},
		{"rights", doctor.Warning, func(s *sick) { s.denies = []string{"submit", "administer"} }, "may not submit", "access.users"},
		{"rights", doctor.Failed, func(s *sick) { s.lost = "administer" }, "not known: it is cut off", "again"},
		{"rights", doctor.Failed, func(s *sick) { s.lost = "submit" }, "not known: it is cut off", "again"},
		{"configuration", doctor.Failed, func(s *sick) { s.fails["-check-config"], s.says["-check-config"] = true, "cpulbd: no such user\n" }, "no such user", "config check"},
		{"configuration", doctor.OK, func(s *sick) {
			s.File = func(int, string) (string, error) { return "", errors.New("in which folder?") }
		}, "not checked", ""},
		{"state", doctor.OK, func(s *sick) {
			s.File = func(int, string) (string, error) { return "", errors.New("in which folder?") }
		}, "in which folder?", ""},
		{"rights", doctor.OK, func(s *sick) { s.denies = []string{"administer"} }, "does not administer", ""},
		{"executor python", doctor.Failed, func(s *sick) { s.executors[0].SHA256 = "" }, "no worker runs", "journalctl"},
		{"executor python", doctor.Warning, func(s *sick) { s.executors[0].Command = "/nonexistent" }, "is gone", "put it back"},
		{"state", doctor.Failed, func(s *sick) { _ = os.Chmod(s.Root+"/var/lib/cpulb", 0o777) }, "others can write", "chmod 700"},
		{"state", doctor.Failed, func(s *sick) { s.File = func(int, string) (string, error) { return "/nonexistent", nil } }, "no such file", "restart"},
		{"state", doctor.OK, func(s *sick) {
			s.status = `{"engine":{"version":"1.2.3"},"components":{"journal":{"health":"healthy","metrics":{"sync":"off"}}}}`
		}, "nothing outlives", ""},
	} {
		s := healthy(t)
		c.ill(s)
		found := false
		all := slices.Collect(doctor.Examine(t.Context(), &s.Host))
		for _, f := range all {
			found = found || f.Check == c.check && f.Level == c.level && strings.Contains(f.Found, c.found) && strings.Contains(f.Remedy, c.remedy)
		}
		if !found {
			t.Errorf("%s %s, %q, %q: not among %+v", c.level, c.check, c.found, c.remedy, all)
		}
		if c.level == doctor.Failed && doctor.Worst(all) != doctor.Failed {
			t.Errorf("%s: the worst is %s", c.check, doctor.Worst(all))
		}
	}
}

func TestADaemonThatHangsHoldsUpNoOtherFinding(t *testing.T) {
	s := healthy(t)
	s.hangs = true
	synctest.Test(t, func(t *testing.T) {
		var before, after []string
		for f := range doctor.Examine(t.Context(), &s.Host) {
			switch {
			case f.Check == "daemon" && strings.Contains(f.Found, "has not answered"):
				after = append(after, f.Check)
			case len(after) > 0:
				after = append(after, f.Check)
			default:
				before = append(before, f.Check)
			}
		}
		if len(before) < 7 || !slices.Contains(after, "state") {
			t.Errorf("before %q, and after it %q", before, after)
		}
	})
}

func TestWhatWasFoundBeforeAnInterruptIsKept(t *testing.T) {
	s := healthy(t)
	s.hangs = true
	synctest.Test(t, func(t *testing.T) {
		ctx, interrupt := context.WithTimeout(t.Context(), time.Second)
		defer interrupt()
		all := slices.Collect(doctor.Examine(ctx, &s.Host))
		if len(all) < 7 || all[len(all)-1].Check != "socket" {
			t.Errorf("%+v", all)
		}
	})
}
