package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cpulb/internal/owndaemon"
	"cpulb/internal/programs"
	"cpulb/ipc/ipctest"
)

func TestFilesThatTheDaemonNamesRelativelyAreThoseOfItsFolder(t *testing.T) {
	folder, here := ipctest.Folder(t), t.TempDir()
	if err := programs.Into(folder, "cpulbd", "cpulb-exec"); err != nil {
		t.Fatal(err)
	}
	text := `executor "exec" { command = "` + filepath.Join(folder, "cpulb-exec") + `" }
pool "all" {
  executor   = "exec"
  task_types = ["cpu_bound", "io_bound"]
  workers    = 1
}
`
	for file, text := range map[string]string{filepath.Join(folder, "config.hcl"): text, filepath.Join(here, "config.hcl"): "another {}"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(filepath.Join(folder, "cpulbd"), "-private", "-config", "config.hcl", "-socket=s", "-state-dir", "state")
	cmd.Dir = folder
	daemon, err := owndaemon.Start(t.Context(), cmd, &owndaemon.Log{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { daemon.Kill() })
	t.Setenv("PATH", folder)
	t.Setenv("CPULB_SOCKET", filepath.Join(folder, "s"))
	t.Chdir(here)
	if got := cpulb(t.Context(), "", "config", "check"); got.code != 0 || !strings.HasPrefix(got.stdout, "OK: "+filepath.Join(folder, "config.hcl")+"\n") {
		t.Errorf("%+v", got)
	}
	shown := &configShowCommand{configFlags: configFlags{WorkerUser: "root"}} // with which the daemon is not asked what holds
	if text, err := shown.text(t.Context(), clientOf(t), newTerminal(strings.NewReader(""), os.Stdout, os.Stderr)); err != nil ||
		!strings.Contains(string(text), filepath.Join(folder, "s")) || !strings.Contains(string(text), `executor "exec"`) {
		t.Errorf("%s, %v", text, err)
	}
	got := cpulb(t.Context(), "", "doctor")
	// To root the check says something else of the file.
	if !strings.Contains(got.stdout, "configuration   "+filepath.Join(folder, "config.hcl")) && !strings.Contains(got.stdout, "configuration   scripts of pool all run as the daemon's user") {
		t.Errorf("the configuration is not in %+v", got)
	}
	if !strings.Contains(got.stdout, "state           "+filepath.Join(folder, "state")+",") {
		t.Errorf("the state is not in %+v", got)
	}
}
