package embedpy_test

import (
	"bytes"
	"testing"

	"cpulb/embedpy"
)

func TestCodeAtHandIsRunIfThisPythonHasMadeIt(t *testing.T) {
	const maker = `
import importlib.util, marshal
def compiled():
    return (importlib.util.MAGIC_NUMBER + marshal.dumps(compile("def where():\n    return ('code',)", "w.py", "exec")),)
`
	const source = "def where():\n    return ('source',)"
	onThread(t, func(h *host, p *embedpy.Thread, _ func(string) *embedpy.Object) {
		call := func(module, function string) []byte {
			f, err := p.Attr(module, function)
			if err != nil {
				t.Error(err)
				return nil
			}
			defer p.Release(f)
			r, err := p.Call(f)
			if err != nil {
				t.Error(err)
				return nil
			}
			return bytes.Clone(r.Bytes(0))
		}
		if err := h.Load("maker", "maker.py", maker); err != nil {
			t.Error(err)
			return
		}
		code := call("maker", "compiled")
		for name, c := range map[string]struct {
			compiled []byte
			want     string
		}{
			"code_of_this":    {code, "code"},
			"code_of_another": {append([]byte{1, 2, 13, 10}, code[4:]...), "source"},
			"code_of_none":    {nil, "source"},
			"code_cut_off":    {code[:3], "source"},
		} {
			if err := h.LoadCompiled(name, "w.py", source, c.compiled); err != nil {
				t.Errorf("%s: %v", name, err)
			} else if got := call(name, "where"); string(got) != c.want {
				t.Errorf("%s: the %s was run", name, got)
			}
		}
		if err := h.LoadCompiled("code_damaged", "w.py", source, code[:len(code)/2]); err == nil {
			t.Error("damaged code was run")
		}
	})
}
