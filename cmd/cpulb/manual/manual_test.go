package manual_test

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"cpulb/cmd/cpulb/manual"

	"github.com/alecthomas/kong"
)

type grammar struct {
	Quiet bool `short:"q" help:"Say nothing."`
	Run   struct {
		Script string `arg:"" help:".script with a dot, and \\ backslashes."`
		Type   string `default:"cpu" help:"'quoted'." env:"TYPE" placeholder:"KIND"`
	} `cmd:"" help:"Runs it.\n\n.Even this."`
	Workers struct {
		Restart struct{} `cmd:"" help:"Restart \"one\"."`
	} `cmd:"" help:"Workers."`
	Secret struct{} `cmd:"" hidden:"" help:"Hidden."`
}

func page(t *testing.T) string {
	t.Helper()
	app, err := kong.New(&grammar{}, kong.Name("demo"), kong.Description("Does it.\n\nWell."))
	if err != nil {
		t.Fatal(err)
	}
	return manual.Page(app.Model, manual.About{Name: "demo", Section: "1", Version: "1.2", Summary: "does - something",
		Parts: []manual.Part{{Title: "Files", Items: []manual.Item{{Term: "/etc/x", Text: "A file."}, {Text: "No more."}}}}})
}

func TestThePageHasAllThatIsNotHidden(t *testing.T) {
	text := page(t)
	for _, want := range []string{`.TH "DEMO" "1" "" "demo 1.2"`, `demo \- does \- something`, `\fB\-q\fR, \fB\-\-quiet\fR`, "Say nothing.",
		`.SS "demo run [flags] <script>"`, `\&.script with a dot, and \e backslashes.`, `\fB\-\-type\fR=\fIKIND\fR`,
		`\&'quoted'. Environment: TYPE. Default: cpu.`, ".PP\n\\&.Even this.", `.SS "demo workers restart"`, `Restart "one".`, `.SH "FILES"`} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Contains(text, "ecret") {
		t.Error("it shows what is hidden")
	}
}

func TestFormattersHaveNothingToSay(t *testing.T) {
	for _, c := range [][]string{{"groff", "-man", "-Tutf8", "-ww", "-z"}, {"mandoc", "-T", "lint", "-W", "warning"}} {
		t.Run(c[0], func(t *testing.T) {
			path, err := exec.LookPath(c[0])
			if err != nil {
				t.Skipf("%s is not installed", c[0])
			}
			run := exec.CommandContext(t.Context(), path, c[1:]...)
			run.Stdin = strings.NewReader(page(t))
			out, err := run.CombinedOutput()
			// A page is not of one date: what it says is of a version.
			text := regexp.MustCompile(`(?m)^.*missing date.*\n`).ReplaceAllString(string(out), "")
			if text != "" || err != nil && len(out) == 0 {
				t.Errorf("%v: %s", err, text)
			}
		})
	}
}
