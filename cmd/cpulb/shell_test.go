package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cpulb/daemon/task"
)

// helps returns what --help prints, by command: those that do something.
func helps(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	name := regexp.MustCompile(`(?m)^  ([a-z][a-z-]*(?: [a-z][a-z-]*)*)(?: <|  \[| \[|$)`)
	top := cpulb(t.Context(), "", "--help").stdout
	_, commands, _ := strings.Cut(top, "Commands:")
	for _, m := range name.FindAllStringSubmatch(commands, -1) {
		command := strings.TrimSpace(m[1])
		if command != "executors test" { // its help is another program's
			all[command] = cpulb(t.Context(), "", append(strings.Fields(command), "--help")...).stdout
		}
	}
	if len(all) < 20 {
		t.Fatalf("only %d commands are found in\n%s", len(all), top)
	}
	return all
}

func flagsIn(text string) []string {
	flags := regexp.MustCompile(`--[a-z][a-z0-9-]*`).FindAllString(text, -1)
	slices.Sort(flags)
	return slices.Compact(flags)
}

// The page has the section of each command, with the same flags and words as --help.
func TestTheManualSaysWhatHelpSays(t *testing.T) {
	manual := strings.NewReplacer(`\-`, "-", `\fB`, "", `\fI`, "", `\fR`, "", `\e`, `\`, `\(dq`, `"`, `\&`, "").Replace(cpulb(t.Context(), "", "man").stdout)
	flat := func(text string) string { return strings.Join(strings.Fields(text), " ") }
	for command, help := range helps(t) {
		_, section, found := strings.Cut(manual, `.SS "cpulb `+command)
		if !found {
			t.Errorf("the manual has no %s", command)
			continue
		}
		section, _, _ = strings.Cut(section, ".SS ")
		for _, f := range flagsIn(help) {
			if !strings.Contains(section, f) && !strings.Contains(manual[:strings.Index(manual, ".SH \"COMMANDS\"")], f) {
				t.Errorf("%s: the manual has no %s", command, f)
			}
		}
		_, said, _ := strings.Cut(help, "\n\n")
		said, _, _ = strings.Cut(said, "\n\n")
		if !strings.Contains(flat(section), flat(said)) {
			t.Errorf("%s: the manual does not say %q", command, flat(said))
		}
	}
}

func TestCompletionOffersWhatHelpShows(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not installed")
	}
	file := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(file, []byte(cpulb(t.Context(), "", "completion", "bash").stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	script.WriteString("source " + file + "\n")
	all := helps(t)
	var commands []string
	for command := range all {
		commands = append(commands, command)
		script.WriteString("COMP_WORDS=(cpulb " + command + " --); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _cpulb; echo \"${COMPREPLY[*]}\"\n")
	}
	out, err := exec.CommandContext(t.Context(), bash, "--norc", "-c", script.String()).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for i, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		_, flags, _ := strings.Cut(all[commands[i]], "Flags:")
		var shown []string
		for _, m := range regexp.MustCompile(`(?m)^  (?:-.,|   ) (--[a-z][a-z0-9-]*)`).FindAllStringSubmatch(flags, -1) {
			shown = append(shown, m[1])
		}
		slices.Sort(shown)
		if offered := flagsIn(line); !slices.Equal(offered, slices.Compact(shown)) {
			t.Errorf("%s: completion offers %v, and help shows %v", commands[i], offered, shown)
		}
	}
}

func TestEveryShellTakesItsScript(t *testing.T) {
	for shell, check := range map[string]string{"bash": "-n", "zsh": "-n", "fish": "--no-execute"} {
		script := cpulb(t.Context(), "", "completion", shell)
		if script.code != 0 || script.stdout == "" {
			t.Errorf("%s: %+v", shell, script)
		}
		path, err := exec.LookPath(shell)
		if err != nil {
			continue
		}
		c := exec.CommandContext(t.Context(), path, check)
		c.Env = append(os.Environ(), "HOME="+t.TempDir())
		c.Stdin = strings.NewReader(script.stdout)
		if out, err := c.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v: %s", shell, err, out)
		}
	}
	if got := cpulb(t.Context(), "", "completion", "tcsh"); got.code != exitUsage || !strings.Contains(got.err, "bash") {
		t.Errorf("%+v", got)
	}
}

func TestListedValuesAreOffered(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if text := cpulb(t.Context(), "", "completion", shell).stdout; !strings.Contains(text, "restarts") || !strings.Contains(text, "cpu io") {
			t.Errorf("%s: the values of --sort or --type are not offered", shell)
		}
	}
}

func TestTheStatesOfTasksAreCompleted(t *testing.T) {
	script := cpulb(t.Context(), "", "completion", "bash").stdout
	for _, at := range []string{"tasks:--status", "cancel:--status"} {
		_, values, _ := strings.Cut(script, "'"+at+"')")
		values, _, _ = strings.Cut(values, ";;")
		for _, s := range task.Statuses() {
			if !strings.Contains(values, s.String()) {
				t.Errorf("%s lacks %s: %s", at, s, values)
			}
		}
	}
}
