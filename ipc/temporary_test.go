package ipc

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cpulb/daemon/api"
)

// Clients of every language decide by these lists.
func TestTheDocsAndThePythonClientSayWhichProblemsPass(t *testing.T) {
	want := slices.Sorted(slices.Values(api.Temporary()))
	for _, list := range []struct{ file, begin, end, quote string }{
		{"../docs/output_interpretation.md", "**To be tried again**", ".", "`"},
		{"../docs/protocol.md", "other than 429. ", ".", "`"},
		{"python/cpu_load_balancer/link.py", "\nFOR_NOW = frozenset((", "))", `"`},
	} {
		text, err := os.ReadFile(list.file)
		if err != nil {
			t.Fatal(err)
		}
		_, sentence, found := strings.Cut(string(text), list.begin)
		sentence, _, _ = strings.Cut(sentence, list.end)
		var got []string
		for _, m := range regexp.MustCompile(list.quote+"([a-z_]+)"+list.quote).FindAllStringSubmatch(sentence, -1) {
			got = append(got, m[1])
		}
		if slices.Sort(got); !found || !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", list.file, got, want)
		}
	}
	for _, code := range want {
		i := slices.IndexFunc(kinds(), func(k kind) bool { return k.code == code })
		if i < 0 {
			t.Errorf("no problem has the code %s", code)
		} else if err := kinds()[i].sentinel; err != nil && !api.IsTemporary(problemFor(err)) || api.IsTemporary(errors.New(code)) {
			t.Errorf("%s: not temporary", code)
		}
	}
}
