package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/config"
	"cpulb/daemon/task"
)

// durations calls f with every duration in v.
func durations(v reflect.Value, path string, f func(path string, d time.Duration)) {
	switch {
	case v.Type() == reflect.TypeFor[time.Duration]():
		f(path, time.Duration(v.Int()))
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			durations(v.Field(i), path+"."+v.Type().Field(i).Name, f)
		}
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			durations(v.Index(i), path, f)
		}
	}
}

func TestDurationsOfAnyLengthCanBeAddedUp(t *testing.T) {
	text, err := os.ReadFile("testdata/every_key.hcl")
	if err != nil {
		t.Fatal(err)
	}
	before, schedules, _ := strings.Cut(string(text), "\nschedule ")
	before = strings.Replace(before, `window = "2ms"`, "", 1)   // which is bounded
	before = strings.Replace(before, `, timeout = "3s"`, "", 1) // a task's, which is refused
	before = regexp.MustCompile(`"([0-9]+(ms|s|m|h))+"`).ReplaceAllString(before, `"2562047h47m16.854775807s"`)
	path := filepath.Join(t.TempDir(), "x.hcl")
	if err := os.WriteFile(path, []byte(before+"\nschedule "+schedules), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	long := 0
	durations(reflect.ValueOf(c).Elem(), "", func(path string, d time.Duration) {
		if d > time.Duration(task.MaxDuration) {
			t.Errorf("%s is %s", path, d)
		}
		if d == time.Duration(task.MaxDuration) {
			long++
		}
	})
	if long < 8 {
		t.Errorf("%d durations were read", long)
	}
}
