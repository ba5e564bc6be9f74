package arch_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// codePatterns are how sources name the code of an error, be it of a Result or of a problem.
func codePatterns() map[string]*regexp.Regexp {
	return map[string]*regexp.Regexp{
		".go": regexp.MustCompile(`(?:\b[rR]efuse|\b[fF]ailed|\bwrong)\("([a-z_]+)"|\b[cC]ode: +"([a-z_]+)"|\bfailure\("\w+", "([a-z_]+)"|Failure\{"\w+", "([a-z_]+)"|\bCode, o\.Error = "([a-z_]+)"|\bcode\w* += "([a-z_]+)"|\bnotSupported = "([a-z_]+)"`),
		".py": regexp.MustCompile(`Refusal\("([a-z_]+)"|\bcode="([a-z_]+)"|\b(?:status, )?code(?:, \w+)? = (?:[A-Z_]+, )?"([a-z_]+)"|\.ended\(None, FAILED, .*, None, "([a-z_]+)"`),
	}
}

// sources are where the codes come from. Doubles for tests have codes, too, but the same.
var sources = []string{"daemon", "ipc", "plugins"}

// codesIn returns the codes that the sources name, with a place for each.
func codesIn(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, folder := range sources {
		err := filepath.WalkDir("../../"+folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && slices.Contains([]string{"testdata", "executortest", "fleettest", "ipctest", "tests", "cpu_load_balancer"}, d.Name()) {
				return fs.SkipDir
			}
			pattern := codePatterns()[filepath.Ext(path)]
			if pattern == nil || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, ".pb.go") {
				return nil
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, m := range pattern.FindAllStringSubmatch(string(text), -1) {
				for _, code := range m[1:] {
					if code != "" {
						found[code] = path
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// table returns the codes of the table whose head begins so.
func table(t *testing.T, page, head string) []string {
	t.Helper()
	_, rest, found := strings.Cut(page, "\n"+head)
	if !found {
		t.Fatalf("no table %q", head)
	}
	var codes []string
	for line := range strings.Lines(rest) {
		row := regexp.MustCompile("^\\| `([a-z_]+)` \\|").FindStringSubmatch(line)
		if row == nil && len(codes) > 0 {
			return codes
		}
		if row != nil {
			codes = append(codes, row[1])
		}
	}
	return codes
}

// docs/output_interpretation.md has a line for each code of a Result, and for each of a problem.
// Package ipc holds those of the problems to their list.
func TestEveryCodeIsExplained(t *testing.T) {
	text, err := os.ReadFile("../../docs/output_interpretation.md")
	if err != nil {
		t.Fatal(err)
	}
	results, problems := table(t, string(text), "| code | status | what happened |"), table(t, string(text), "| code | status | when |")
	found := codesIn(t)
	if len(found) < 40 {
		t.Errorf("only %d codes were found", len(found))
	}
	for code, path := range found {
		if !slices.Contains(results, code) && !slices.Contains(problems, code) {
			t.Errorf("%s: docs/output_interpretation.md does not explain %q", path, code)
		}
	}
	for _, code := range results {
		if found[code] == "" {
			t.Errorf("docs/output_interpretation.md explains %q, which no source names", code)
		}
	}
}
