package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// confined is a daemon that runs only what is beneath one folder, and that folder.
func confined(t *testing.T, more string) (d *daemon, inside, outside string) {
	t.Helper()
	dir := t.TempDir()
	inside, outside = filepath.Join(dir, "inside"), filepath.Join(dir, "outside")
	for _, folder := range []string{inside, outside} {
		if err := os.MkdirAll(filepath.Join(folder, "sub"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return start(t, oneSlot+fmt.Sprintf("access {\n  script_dirs = [%q]\n%s\n}\n", inside, more)), inside, outside
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func link(t *testing.T, old, name string) string {
	t.Helper()
	if err := os.Symlink(old, name); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestOnlyScriptsBeneathTheFoldersRunWhereverLinksLead(t *testing.T) {
	t.Parallel()
	d, inside, outside := confined(t, "")
	const says = "def main(params, context):\n    return %q\n"
	good := write(t, filepath.Join(inside, "sub", "good.py"), fmt.Sprintf(says, "good"))
	evil := write(t, filepath.Join(outside, "evil.py"), fmt.Sprintf(says, "evil"))
	for _, path := range []string{good, link(t, good, filepath.Join(inside, "alias.py"))} {
		if r := d.result(d.post(path, `{}`, "")); r["data"] != "good" {
			t.Errorf("%s: %v", path, r)
		}
	}
	for _, path := range []string{evil, inside + "/../outside/evil.py"} {
		if status, answer := d.call("POST", "/v1/tasks", fmt.Sprintf(`{"script_path":%q}`, path)); status < 400 || status > 403 {
			t.Errorf("%s: %d %v", path, status, answer)
		}
	}
	for _, path := range []string{link(t, evil, filepath.Join(inside, "link.py")), filepath.Join(link(t, outside, filepath.Join(inside, "folder")), "evil.py")} {
		if r := d.result(d.post(path, `{}`, "")); code(r) != "script_not_allowed" || !strings.Contains(fmt.Sprint(r["error"]), "script_dirs") {
			t.Errorf("%s: %v", path, r)
		}
	}
	link(t, evil, filepath.Join(inside, "sibling.py"))
	importer := write(t, filepath.Join(inside, "importer.py"), "import sibling\ndef main(params, context):\n    return sibling.main(0, 0)\n")
	if r := d.result(d.post(importer, `{}`, "")); r["data"] == "evil" || r["status"] != "failed" {
		t.Errorf("a sibling that is a link: %v", r)
	}
}

// A folder is exchanged for a link to another all the time: what is compiled is
// never the other's.
func TestNoExchangeOfFoldersLetsAScriptOut(t *testing.T) {
	t.Parallel()
	d, inside, outside := confined(t, "")
	const says = "def main(params, context):\n    return %q\n"
	folder, spare := filepath.Join(inside, "sub"), filepath.Join(inside, "spare")
	path := write(t, filepath.Join(folder, "x.py"), fmt.Sprintf(says, "good"))
	write(t, filepath.Join(outside, "x.py"), fmt.Sprintf(says, "evil"))
	link(t, outside, spare)
	stop := make(chan struct{})
	var swapping sync.WaitGroup
	aside := filepath.Join(inside, "aside")
	swapping.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			for _, x := range [][2]string{{folder, aside}, {spare, folder}, {aside, spare}} {
				_ = os.Rename(x[0], x[1])
			}
		}
	})
	ends := map[string]int{}
	for range inShort(60, 300) {
		status, answer := d.call("POST", "/v1/tasks?wait=10m", fmt.Sprintf(`{"script_path":%q}`, path))
		switch {
		case status == 200 && answer["data"] == "evil":
			t.Fatal("what is outside has run")
		case status == 200:
			ends[fmt.Sprint(answer["status"], " ", code(answer))]++
		default:
			ends[fmt.Sprint(answer["code"])]++
		}
	}
	close(stop)
	swapping.Wait()
	t.Log(ends)
}

func TestATaskMayBringItsScriptWhereThatIsAllowed(t *testing.T) {
	t.Parallel()
	const body = `{"source":"import sys\ndef main(params, context):\n    return [params, __name__ == 'source', context.attempt]\n","params":7}`
	d := start(t, oneSlot)
	if status, answer := d.call("POST", "/v1/tasks", body); status != 403 || answer["code"] != "not_allowed" || answer["field"] != "source" {
		t.Errorf("%d %v", status, answer)
	}
	d, _, _ = confined(t, "  source = true")
	for range 2 {
		if status, r := d.call("POST", "/v1/tasks?wait=10m", body); status != 200 || fmt.Sprint(r["data"]) != "[7 true 1]" {
			t.Errorf("%d %v", status, r)
		}
	}
	status, r := d.call("POST", "/v1/tasks?wait=10m", `{"source":"def main(:\n"}`)
	if status != 200 || code(r) != "script_syntax" || !strings.Contains(fmt.Sprint(r["error"]), "source.py") {
		t.Errorf("%d %v", status, r)
	}
}
