package e2e_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// languages are the sections of docs/examples_guide.md, and what the commands of each need
// beside the product: a command that ends with exit code 0 where that is there.
var languages = map[string]string{
	"curl":    "curl --version",
	"bash":    "jq --version",
	"Node.js": "node --version",
	"PHP":     `php -r 'exit(extension_loaded("curl") ? 0 : 1);'`,
	"Ruby":    "ruby -rjson -e ''",
	"Perl":    "perl -MJSON::PP -e ''",
	"Go":      "go version",
	"Python":  "python3 --version",
}

// block is one of a page's fenced blocks, with the paragraph before it.
type block struct{ before, language, text string }

// blocks returns the fenced blocks of a page, or a part of one.
func blocks(page string) (all []block) {
	for _, m := range regexp.MustCompile("(?ms)([^\n]*)\n\n```(\\w+)\n(.*?)^```$").FindAllStringSubmatch(page, -1) {
		all = append(all, block{m[1], m[2], m[3]})
	}
	return all
}

// file is the first name of a file in the paragraph before a block.
var file = regexp.MustCompile("`(\\w+\\.[a-z]+)`")

// TestTheExamplesOfTheGuideDoWhatItShows saves each program of the page, and runs each
// command as the page does.
func TestTheExamplesOfTheGuideDoWhatItShows(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/examples_guide.md")
	if err != nil {
		t.Fatal(err)
	}
	d := start(t, testConfig)
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, b := range blocks(string(page)) {
		if name := file.FindStringSubmatch(b.before); name != nil && b.language != "console" {
			if err := os.WriteFile(filepath.Join(dir, name[1]), []byte(b.text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	env, err := d.asInTheGuide()
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	t.Run("in", func(t *testing.T) {
		for _, section := range strings.Split(string(page), "\n## ")[1:] {
			title, body, _ := strings.Cut(section, "\n")
			if title == "Before you begin" {
				continue
			}
			seen = append(seen, title)
			t.Run(title, func(t *testing.T) {
				t.Parallel()
				shows(t, title, body, dir, env)
			})
		}
	})
	if want := slices.Sorted(maps.Keys(languages)); !slices.Equal(slices.Sorted(slices.Values(seen)), want) {
		t.Errorf("the page has %v, the test knows %v", seen, want)
	}
}

// asInTheGuide is the environment of the examples. Go compiles them as it did the daemon: of
// that the cache has the standard library.
func (d *daemon) asInTheGuide() ([]string, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	python, err := filepath.Abs("../../ipc/python")
	return append(os.Environ(), "CPULB_SOCKET="+d.socket, "PATH="+bin+":"+os.Getenv("PATH"), "PYTHONPATH="+python, "PYTHONDONTWRITEBYTECODE=1",
		"CGO_ENABLED=0", "GOFLAGS=-trimpath", "GOEXPERIMENT="), err
}

// shows runs the commands of a section, block by block.
func shows(t *testing.T, title, body, dir string, env []string) {
	if out, err := exec.Command("bash", "-c", languages[title]).CombinedOutput(); err != nil {
		t.Skipf("%s: %v %s", languages[title], err, out)
	}
	ran := 0
	for _, b := range blocks(body) {
		if b.language == "console" {
			ran++
			session(t, b.text, dir, env)
		}
	}
	if ran == 0 {
		t.Error("there is no command")
	}
}

// separator ends what each command prints.
const separator = "\x1e"

// session runs the commands of one block in one shell, and compares what each prints.
func session(t *testing.T, text, dir string, env []string) {
	t.Helper()
	commands, shown := dialogue(text)
	var script strings.Builder
	for _, c := range commands {
		fmt.Fprintf(&script, "%s\nprintf '\\036'\n", c)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script.String())
	cmd.Dir, cmd.Env = dir, env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s\n%v", text, err)
	}
	printed := strings.Split(string(out), separator)
	if len(printed) != len(commands)+1 {
		t.Fatalf("of %d commands %d have ended:\n%s\nprinted\n%s", len(commands), len(printed)-1, text, out)
	}
	for i, c := range commands {
		if pattern := asShown(shown[i]); !regexp.MustCompile(pattern).MatchString(printed[i]) {
			t.Errorf("$ %s\nprinted\n%s\nnot\n%s", c, printed[i], shown[i])
		}
	}
}

// dialogue separates what is typed in a block, behind "$ " and indented lines after that, from
// what is printed.
func dialogue(text string) (commands, shown []string) {
	typed := false
	for line := range strings.Lines(text) {
		last := len(commands) - 1
		switch command, is := strings.CutPrefix(line, "$ "); {
		case is:
			commands, shown, typed = append(commands, command), append(shown, ""), true
		case typed && strings.HasPrefix(line, "  "):
			commands[last] += line
		default:
			typed = false
			shown[last] += line
		}
	}
	return commands, shown
}

// asShown is a pattern for what a page shows: an ellipsis stands for anything in its line.
func asShown(text string) string {
	return "^" + strings.ReplaceAll(regexp.QuoteMeta(text), "…", ".*") + "$"
}

// A command is typed, and what is shown is compared: else the test above could not fail.
func TestWhatThePageShowsIsWhatIsCompared(t *testing.T) {
	t.Parallel()
	commands, shown := dialogue("$ a \\\n  b\nx…\ny\n$ c\n")
	if want := []string{"a \\\n  b\n", "c\n"}; !slices.Equal(commands, want) {
		t.Errorf("typed: %q", commands)
	}
	if want := []string{"x…\ny\n", ""}; !slices.Equal(shown, want) {
		t.Errorf("shown: %q", shown)
	}
	for text, matches := range map[string]bool{"x12\ny\n": true, "x\ny\n": true, "x\n\ny\n": false, "x12\ny\nz\n": false, "12\ny\n": false} {
		if regexp.MustCompile(asShown(shown[0])).MatchString(text) != matches {
			t.Errorf("%q is taken for %q: %v", text, shown[0], !matches)
		}
	}
}
