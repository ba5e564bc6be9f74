package completion_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cpulb/cmd/cpulb/completion"

	"github.com/alecthomas/kong"
)

// grammar has one of each thing that a grammar may have.
type grammar struct {
	Socket string `help:"It's a socket." placeholder:"PATH"`
	Run    struct {
		Script string `arg:"" help:"The script."`
		Type   string `enum:"cpu,io" default:"cpu" help:"cpu: computes."`
		Wait   bool   `help:"Wait."`
		Label  string `help:"A label." placeholder:"NAME"`
	} `cmd:"" help:"Run $(a script). And more."`
	Workers struct {
		List struct {
			JSON bool `help:"As JSON."`
		} `cmd:"" default:"withargs" help:"List them."`
		Restart struct {
			Worker string `arg:"" help:"Which."`
		} `cmd:"" help:"Restart one."`
	} `cmd:"" aliases:"w" help:"Workers."`
	Shell struct {
		Shell string `arg:"" enum:"bash,zsh" help:"Which."`
	} `cmd:"" help:"A shell."`
	Secret struct{} `cmd:"" hidden:"" help:"Hidden."`
}

// script writes the script of a shell into a folder with two files in it, and returns both.
func script(t *testing.T, shell string) (file, folder string) {
	t.Helper()
	app, err := kong.New(&grammar{}, kong.Name("cpulb"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := completion.Script(shell, app.Model)
	if err != nil {
		t.Fatal(err)
	}
	folder = t.TempDir()
	file = filepath.Join(folder, "script")
	for path, text := range map[string]string{file: text, filepath.Join(folder, "a file.py"): "", filepath.Join(folder, "b.py"): ""} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return file, folder
}

// shell runs a command in a shell that has to be installed.
func shell(t *testing.T, folder, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed; make test-shells installs it", name)
	}
	c := exec.CommandContext(t.Context(), path, args...)
	c.Dir = folder
	c.Env = append(os.Environ(), "HOME="+folder, "XDG_CONFIG_HOME="+folder, "XDG_DATA_HOME="+folder, "TERM=dumb")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

// cases are lines, whose last word is to be completed, and what is offered.
var cases = []struct {
	line string
	want string
}{
	{"", "run shell workers"},
	{"wor", "workers"},
	{"--so", "--socket"},
	{"--socket b", "b.py"},
	{"--socket b.py ru", "run"},
	{"--socket run ru", "run"},
	{"run --t", "--type"},
	{"run --type ", "cpu io"},
	{"run --type i", "io"},
	{"run --label x --ty", "--type"},
	{"run b", "b.py"},
	{"run --label ", ""},
	{"run --soc", "--socket"},
	{"workers ", "list restart"},
	{"workers --j", "--json"},
	{"workers restart --j", ""},
	{"workers list --j", "--json"},
	{"w restart --s", "--socket"},
	{"w li", "list"},
	{"shell ", "bash zsh"},
	{"shell z", "zsh"},
	{"sec", ""},
}

func sorted(words string) string {
	all := strings.Fields(words)
	slices.Sort(all)
	return strings.Join(slices.Compact(all), " ")
}

func TestBashCompletes(t *testing.T) {
	_, folder := script(t, "bash")
	all := slices.Concat(cases, []struct{ line, want string }{
		{"run --type = i", "io"}, {"run --type =", "cpu io"}, {"run --type = io --w", "--wait"}, {"--socket = b", "b.py"},
	})
	lines := "source ./script\n"
	for _, c := range all {
		lines += "COMP_WORDS=(cpulb " + lastWord(c.line) + "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _cpulb; printf '%s\\n' \"${COMPREPLY[@]}\"; echo =\n"
	}
	answers := strings.Split(shell(t, folder, "bash", "--norc", "-c", lines), "=\n")
	for i, c := range all {
		if got := sorted(answers[i]); got != c.want {
			t.Errorf("cpulb %s: %q, want %q", c.line, got, c.want)
		}
	}
}

// lastWord ends a line with the word to be completed, also if that is empty.
func lastWord(line string) string {
	if line == "" || strings.HasSuffix(line, " ") {
		return line + "''"
	}
	return line
}

func TestFishCompletes(t *testing.T) {
	_, folder := script(t, "fish")
	var lines []string
	for _, c := range cases {
		lines = append(lines, "complete -C 'cpulb "+c.line+"'; echo =")
	}
	answers := strings.Split(shell(t, folder, "fish", "--no-config", "-c", "source ./script; "+strings.Join(lines, "; ")), "=\n")
	for i, c := range cases {
		var names []string
		for line := range strings.Lines(answers[i]) {
			name, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
			names = append(names, name)
		}
		if got := sorted(strings.Join(names, " ")); got != c.want {
			t.Errorf("cpulb %s: %q, want %q", c.line, got, c.want)
		}
	}
}

// The shell's own functions are exchanged for ones that print what they are given: its
// completion needs a terminal.
func TestZshCompletes(t *testing.T) {
	_, folder := script(t, "zsh")
	const stubs = `
compdef() { : }
_describe() { local name=${@[-1]}; local item; for item in ${(P)name}; do offer ${item%%:*}; done }
compadd() { shift; local item; for item in $@; do offer $item; done }
_files() { local item; for item in *.py(N); do offer $item; done }
_message() { : }
compset() { PREFIX=${PREFIX#*=} }
offer() { [[ $1 == $PREFIX* ]] && print -r -- $1 }
ask() { words=(cpulb "$@"); CURRENT=$#words; PREFIX=$words[CURRENT]; _cpulb; print = }
source ./script
`
	var lines []string
	all := slices.Concat(cases, []struct{ line, want string }{{"run --type=i", "io"}, {"run --wait --type=", "cpu io"}})
	for _, c := range all {
		lines = append(lines, "ask "+lastWord(c.line))
	}
	answers := strings.Split(shell(t, folder, "zsh", "-f", "-c", stubs+strings.Join(lines, "\n")), "=\n")
	for i, c := range all {
		names := strings.Fields(answers[i])
		if c.line == "" || strings.HasSuffix(c.line, " ") { // zsh itself shows no flags until a hyphen
			names = slices.DeleteFunc(names, func(s string) bool { return strings.HasPrefix(s, "-") })
		}
		if got := sorted(strings.Join(names, " ")); got != c.want {
			t.Errorf("cpulb %s: %q, want %q", c.line, got, c.want)
		}
	}
}

func TestAnUnknownShellIsRefused(t *testing.T) {
	app, err := kong.New(&grammar{}, kong.Name("cpulb"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := completion.Script("tcsh", app.Model); !errors.Is(err, completion.ErrShell) || !strings.Contains(err.Error(), "bash, zsh, fish") {
		t.Error(err)
	}
}
