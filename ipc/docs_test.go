package ipc

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"cpulb/internal/share"
)

func readPage(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// docs/output_interpretation.md lists the problems in a table of code, status and meaning.
func TestTheDocumentedProblemsAreThoseOfTheCode(t *testing.T) {
	var documented, known []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (\\d{3}) \\| .+ \\|$").FindAllStringSubmatch(readPage(t, "output_interpretation.md"), -1) {
		documented = append(documented, row[1]+" "+row[2])
	}
	for _, k := range kinds() {
		known = append(known, fmt.Sprint(k.code, " ", k.status))
		if http.StatusText(k.status) == "" || k.title == "" {
			t.Errorf("%s: status %d, title %q", k.code, k.status, k.title)
		}
	}
	slices.Sort(documented)
	slices.Sort(known)
	if !slices.Equal(documented, known) {
		t.Errorf("documented:\n%s\nin the code:\n%s", strings.Join(documented, "\n"), strings.Join(known, "\n"))
	}
}

// Every call has its heading "### METHOD /path" and a curl example under it.
func TestEveryCallIsDocumentedWithAnExample(t *testing.T) {
	var documented []string
	sections := strings.Split(readPage(t, "api.md"), "\n### ")
	for _, s := range sections[1:] {
		heading, _, _ := strings.Cut(s, "\n")
		if call := regexp.MustCompile("^`([A-Z]+ /[^ `?]*)").FindStringSubmatch(heading); call != nil {
			documented = append(documented, call[1])
			if !strings.Contains(s, "curl ") && !strings.Contains(s, "socat ") {
				t.Errorf("%s has no example", call[1])
			}
		}
	}
	var known []string
	for path, handlers := range (&Server{}).calls() {
		for method := range handlers {
			known = append(known, method+" "+strings.Replace(path, "...}", "}", 1))
		}
	}
	slices.Sort(documented)
	slices.Sort(known)
	if !slices.Equal(documented, known) {
		t.Errorf("documented:\n%s\nserved:\n%s", strings.Join(documented, "\n"), strings.Join(known, "\n"))
	}
}

// docs/protocol.md has the numbers of the code.
func TestTheBoundsOfTheStreamAreThoseOfTheCode(t *testing.T) {
	page := readPage(t, "protocol.md")
	alone := int64(0) // what one caller can have
	for share.Fits(maxUnanswered, alone, alone, 1, false) {
		alone++
	}
	words := map[time.Duration]string{5 * time.Second: "five seconds", 10 * time.Second: "ten seconds"}
	for what, text := range map[string]string{
		"headerBytes":     fmt.Sprintf("have to fit into %d KiB.", headerBytes>>10),
		"maxUnanswered":   fmt.Sprintf("| lines without an answer | %d of a caller's", alone),
		"lineBuffer":      fmt.Sprintf("One longer than %d KiB for which there is none within about %s", lineBuffer>>10, words[roomTimeout]),
		"backlogHeadroom": fmt.Sprintf("%d MiB more than `limits.body_size`", backlogHeadroom>>20),
		"farewellTimeout": "what had been queued within " + words[farewellTimeout] + " finds a `goaway`",
	} {
		if !strings.Contains(page, text) {
			t.Errorf("%s: %q is not on the page", what, text)
		}
	}
}
