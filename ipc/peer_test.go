package ipc

import "testing"

func TestANamespaceHasAllUsersIfItsMapHas(t *testing.T) {
	for lines, all := range map[string]bool{
		"         0          0 4294967295\n": true,
		"0 100000 65536\n":                   false,
		"0 1000 1\n1 100000 65536\n":         false,
		"0 1 1\n1 0 1\n2 2 4294967293\n":     true,
		"":                                   false,
		"0 0\n":                              false,
		"0 0 many\n":                         false,
		"         0          0 4294967295\n0 0 4294967296 more\n": false,
	} {
		if hasAllUsers(lines) != all {
			t.Errorf("%q: %v", lines, !all)
		}
	}
}
