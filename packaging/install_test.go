package packaging_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// built is a folder as make share leaves it, with files that stand for the programs.
func built(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	for _, name := range []string{"cpulbd", "cpulb", "cpulb-conformance", "cpulb-python", "cpulb-exec", "cpulb-wasm", "share/man/man1/cpulb.1",
		"share/man/man8/cpulbd.8", "share/bash-completion/completions/cpulb", "share/zsh/vendor-completions/_cpulb", "share/fish/vendor_completions.d/cpulb.fish"} {
		path := filepath.Join(bin, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return bin
}

func TestAnInstallationHasAllThatItsUnitsNameAndKeepsItsConfiguration(t *testing.T) {
	bin := built(t)
	for _, prefix := range []string{"/usr", "/usr/local"} {
		root := t.TempDir()
		install := func() {
			t.Helper()
			c := exec.CommandContext(t.Context(), "./install")
			c.Env = append(os.Environ(), "BIN="+bin, "DESTDIR="+root, "PREFIX="+prefix)
			if out, err := c.CombinedOutput(); err != nil || len(out) > 0 {
				t.Fatalf("%v: %s", err, out)
			}
		}
		install()
		unit, err := os.ReadFile(filepath.Join(root, prefix, "lib/systemd/system/cpulbd.service"))
		if err != nil {
			t.Fatal(err)
		}
		named := regexp.MustCompile(`(?m)^Exec\w+=\+?(\S+)`).FindAllStringSubmatch(string(unit), -1)
		for _, m := range named {
			info, err := os.Stat(filepath.Join(root, m[1]))
			if err != nil || info.Mode().Perm() != 0o755 || !strings.HasPrefix(m[1], prefix+"/bin/") {
				t.Errorf("%s: %s: %v", prefix, m[1], err)
			}
		}
		if len(named) < 2 {
			t.Errorf("the unit runs %v", named)
		}
		for _, name := range []string{"lib/systemd/system/cpulbd.socket", "lib/sysusers.d/cpulb.conf", "libexec/cpulb/cpulb-python", "share/man/man8/cpulbd.8", "share/doc/cpulb/config.hcl"} {
			if _, err := os.Stat(filepath.Join(root, prefix, name)); err != nil {
				t.Error(err)
			}
		}
		config := filepath.Join(root, "etc/cpulb/config.hcl")
		if err := os.WriteFile(config, []byte("# mine\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		install()
		if text, err := os.ReadFile(config); err != nil || string(text) != "# mine\n" {
			t.Errorf("the configuration was overwritten: %s %v", text, err)
		}
	}
}
