package reaper

import (
	"errors"
	"os"
	"strings"
	"testing"
)

func TestACommandMayHaveAnyName(t *testing.T) {
	rest := " S 7 1 1 0 -1 4194560 1 0 0 0 1 2 3 4 20 0 1 0 4242 1 2"
	for _, comm := range []string{"sh", "a b", "a) S 1 (", "))", "\n", ""} {
		p, err := parse([]byte("12 (" + comm + ")" + rest))
		if err != nil || p != (process{12, 7, 4242}) {
			t.Errorf("%q: %+v %v", comm, p, err)
		}
	}
}

func TestAZombieHasEndedWithItsLastThread(t *testing.T) {
	for state, want := range map[string]error{
		"S 1":  nil,
		"Z 1":  errEnded,
		"Z 0":  errEnded,
		"Z 2":  nil, // its first thread alone has ended
		"Z 10": nil,
		"X 0":  errEnded,
	} {
		s, threads, _ := strings.Cut(state, " ")
		_, err := parse([]byte("12 (sh) " + s + " 7 1 1 0 -1 4194560 1 0 0 0 1 2 3 4 20 0 " + threads + " 0 4242 1 2"))
		if !errors.Is(err, want) {
			t.Errorf("%s: %v", state, err)
		}
	}
}

func TestAMarkIsAWholeVariable(t *testing.T) {
	for environ, want := range map[string]string{
		MarkEnv + "=1\x00A=2":            "1",
		"A=2\x00" + MarkEnv + "=1":       "1",
		"A=" + MarkEnv + "=1\x00":        "",
		"X" + MarkEnv + "=1\x00":         "",
		MarkEnv + "X=1\x00":              "",
		"\x00\x00" + MarkEnv + "=\x00A=": "",
	} {
		if got, _ := findMark([]byte(environ)); got != want {
			t.Errorf("%q: %q, not %q", environ, got, want)
		}
	}
}

func FuzzStat(f *testing.F) {
	own, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		f.Fatal(err)
	}
	for _, line := range []string{string(own), "", "1 (", "1 () ", ") (1", "1 (a) S",
		"1 (a) Z 7 1 1 0 -1 4194560 1 0 0 0 1 2 3 4 20 0 2 0 4242 1 2"} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		if p, err := parse(line); err != nil && p != (process{}) {
			t.Errorf("%+v with %v", p, err)
		}
	})
}
