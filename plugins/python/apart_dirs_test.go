package python

import (
	"path/filepath"
	"testing"

	"cpulb/daemon/task"
)

func TestScriptDirsHoldInAProcessOfItsOwn(t *testing.T) {
	dir := t.TempDir()
	inside := filepath.Join(dir, "inside.py")
	writeFile(t, inside, "def main(params, context):\n    return params\n")
	p := openApart(t, map[string]string{"script_dirs": dir, "preload": `["json", "random"]`})
	wantData(t, p.run(inside, "1"), "1")
	wantError(t, p.run(script("returns_params.py"), "1"), task.Failed, "script_not_allowed")
}
