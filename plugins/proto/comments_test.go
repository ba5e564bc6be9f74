package proto_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// Strangers write executors from executor.proto: nothing in it goes without saying.
func TestEverythingInTheContractHasAComment(t *testing.T) {
	text, err := os.ReadFile("executor.proto")
	if err != nil {
		t.Fatal(err)
	}
	declares := regexp.MustCompile(`^(message|enum|service|rpc) \w+|^[\w.<>, ]+ = \d+;`)
	found, before := 0, ""
	for number, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if declares.MatchString(line) {
			found++
			if !strings.HasPrefix(before, "//") {
				t.Errorf("executor.proto:%d: no comment says what this is: %s", number+1, line)
			}
		}
		before = line
	}
	if found < 100 {
		t.Errorf("only %d declarations were found", found)
	}
}
