package config

import (
	"errors"
	"strings"
	"testing"
)

// twoPools has a pool for each of two executors, neither of which serves io_bound with
// "quick".
const twoPools = `executor "slow" {
  command = "a"
}
executor "quick" {
  command = "b"
}
pool "cpu" {
  executor   = "quick"
  task_types = ["cpu_bound"]
}
pool "io" {
  executor   = "slow"
  task_types = ["io_bound"]
}
`

func scheduled(keys ...string) string {
	all := append([]string{`cron = "@daily"`, `script_path = "/x.py"`}, keys...)
	return "schedule \"s\" {\n  " + strings.Join(all, "\n  ") + "\n}\n"
}

func TestAScheduleThatCouldNeverRunIsRefusedWhereTheFileHasIt(t *testing.T) {
	const first = "x.hcl:18:" // the line of a schedule's first key of its own
	for _, c := range []struct{ text, place, said string }{
		{twoPools + scheduled(`pool = "gpu"`), first + "10", `no pool is named "gpu" (allowed: cpu, io)`},
		{twoPools + scheduled(`executor = "none"`), first + "14", `no executor "none" is configured (allowed: slow, quick)`},
		{twoPools + scheduled(`executor = "quick"`, `task_type = "io_bound"`), first + "14", `no pool serves io_bound with the executor "quick"`},
		{strings.Replace(twoPools, `"io_bound"`, `"cpu_bound"`, 1) + scheduled(`task_type = "io_bound"`), first + "15", "no pool serves io_bound"},
		{strings.ReplaceAll(twoPools, "cpu_bound", "io_bound") + scheduled(), "x.hcl:15:1", "no pool serves cpu_bound"}, // by default
		{twoPools + scheduled(`time_zone = "Mars/Base"`), first + "15", `"Mars/Base" is not known`},
		{twoPools + "schedule \"s\" {\n  cron = \"@daily\"\n  script_path = \"x.py\"\n}\n", "x.hcl:17:17", "absolute"},
		{twoPools + "schedule \"s\" {\n  cron = \"61 * * * *\"\n  script_path = \"/x.py\"\n}\n", "x.hcl:16:10", "61"},
	} {
		_, err := decode("x.hcl", []byte(c.text))
		if err == nil || !strings.HasPrefix(err.Error(), c.place) || !strings.Contains(err.Error(), c.said) {
			t.Errorf("%v, want %s: %s", err, c.place, c.said)
		}
	}
	for _, fits := range []string{scheduled(), scheduled(`executor = "slow"`, `task_type = "io_bound"`), scheduled(`pool = "io"`)} {
		if _, err := decode("x.hcl", []byte(twoPools+fits)); err != nil {
			t.Error(err)
		}
	}
}

func TestWhatIsWrongOnThisMachineIsSaidWhereTheFileHasIt(t *testing.T) {
	c, err := decode("x.hcl", []byte(scheduled()))
	if err != nil {
		t.Fatal(err)
	}
	why := errors.New("is not there")
	for key, want := range map[string]string{"script_path": "x.hcl:3:17: schedule s: is not there", "owner": "x.hcl:1:1: schedule s: is not there"} {
		if err := c.Schedules[0].Wrong(key, why); !errors.Is(err, why) || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	made := Schedule{Name: "made"}
	if err := made.Wrong("owner", why); err.Error() != "schedule made: is not there" {
		t.Error(err)
	}
}

func TestHalfASurrogatePairIsNoTextInAFileEither(t *testing.T) {
	for value, bad := range map[string]bool{`\ud800`: true, `a\\\udfff`: true, `\ud83d\ude00`: true, `\\ud800`: false, `\U0001f600\u00e9\ud7ff\ue000\n`: false} {
		text := "schedule \"s\" {\n  cron = \"@daily\"\n  script_path = \"/x.py\"\n  labels = { a = \"" + value + "\" }\n}\n"
		_, err := decode("x.hcl", []byte(text))
		if (err != nil) != bad || bad && (!strings.HasPrefix(err.Error(), "x.hcl:4:") || !strings.Contains(err.Error(), "Cannot encode character")) {
			t.Errorf("%s: %v", value, err)
		}
	}
}
