package api_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/api"
)

// shown are the fields that everybody sees as they are, and hidden those that only
// administrators see, or of which others see a general sentence. Each field of these
// structs is in one of the two: who adds one decides.
var (
	shown = map[string][]string{
		"Status":       {"Engine", "Components"},
		"EngineStatus": {"IsRunning", "Draining", "Version", "PID", "UptimeSeconds", "Tasks"},
		"Component":    {"Health", "Metrics"},
		"WorkerStatus": {"ID", "Pool", "Executor", "Runtime", "PID", "Core", "CPUsAllowed", "State", "UptimeSeconds", "Trial", "MemoryLimit", "Slots",
			"SlotsBusy", "TasksDone", "Restarts", "RSSBytes", "PeakRSSBytes"},
		"ScheduleStatus": {"Name", "Cron", "TimeZone", "Overlap", "CatchUp", "Next", "Last", "Skipped", "Missed", "RefusedAt"},
		"ExecutorStatus": {"Name", "SHA256", "Runtime", "Pools", "Program", "Version", "Capabilities", "Settings"},
	}
	hidden = map[string][]string{
		"Component":      {"Reason", "PublicReason"},
		"WorkerStatus":   {"Leaving", "Degraded"},
		"ScheduleStatus": {"LastTask", "RefusedReason", "Owner"},
		"ExecutorStatus": {"Command", "BeforeCommand", "Swap"},
	}
)

// fill gives every field of v a value that tells where it was.
func fill(v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("/secret/" + path)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint64, reflect.Uint32, reflect.Uint8:
		v.SetUint(7)
	case reflect.Float64:
		v.SetFloat(7)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), path)
	case reflect.Array, reflect.Slice:
		if v.Kind() == reflect.Slice {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		}
		for i := range v.Len() {
			fill(v.Index(i), path)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		value := reflect.New(v.Type().Elem()).Elem()
		if value.Kind() != reflect.Interface {
			fill(value, path)
			v.SetMapIndex(reflect.ValueOf("all"), value)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(7, 0)))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), v.Type().Name()+"."+v.Type().Field(i).Name)
		}
	default:
		panic(fmt.Sprintf("%s is a %s", path, v.Kind()))
	}
}

// compare checks what of full is in public, by the two lists.
func compare(t *testing.T, full, public reflect.Value) {
	t.Helper()
	kind := full.Type().Name()
	if got, want := full.NumField(), len(shown[kind])+len(hidden[kind]); got != want {
		t.Errorf("%s has %d fields, and %d are in the lists", kind, got, want)
	}
	for i := range full.NumField() {
		name := full.Type().Field(i).Name
		was, is := full.Field(i), public.Field(i)
		switch {
		case slices.Contains(hidden[kind], name):
			if text := fmt.Sprint(is.Interface()); strings.Contains(text, "secret") || is.Kind() != reflect.String && !is.IsZero() {
				t.Errorf("%s.%s is shown: %s", kind, name, text)
			}
		case !slices.Contains(shown[kind], name):
			t.Errorf("nobody has said who may see %s.%s", kind, name)
		case name == "Metrics" || name == "Components":
		case !reflect.DeepEqual(was.Interface(), is.Interface()):
			t.Errorf("%s.%s is %v, not %v", kind, name, is, was)
		}
	}
}

func TestEveryFieldOfAStatusIsForEverybodyOrForAdministrators(t *testing.T) {
	var status api.Status
	fill(reflect.ValueOf(&status).Elem(), "")
	var worker api.WorkerStatus
	fill(reflect.ValueOf(&worker).Elem(), "")
	c := status.Components["all"]
	c.PublicReason = ""
	c.Metrics = map[string]any{"n": 1, "seconds": 0.5, "u": uint64(2), "i": int64(3), "is": true, "sync": "group", "path": "/secret", "list": []string{"/secret"},
		"map": map[string]string{"a": "/secret"}, "error": fmt.Errorf("/secret"), "worker": worker, "workers": []api.WorkerStatus{worker}}
	status.Components["all"] = c
	public := status.Public()
	compare(t, reflect.ValueOf(status), reflect.ValueOf(public))
	compare(t, reflect.ValueOf(status.Engine), reflect.ValueOf(public.Engine))
	compare(t, reflect.ValueOf(c), reflect.ValueOf(public.Components["all"]))
	metrics := public.Components["all"].Metrics
	if names := slices.Sorted(maps.Keys(metrics)); strings.Join(names, " ") != "i is n seconds sync u workers" {
		t.Errorf("metrics: %v", names)
	}
	compare(t, reflect.ValueOf(worker), reflect.ValueOf(metrics["workers"].([]api.WorkerStatus)[0]))

	var schedule api.ScheduleStatus
	fill(reflect.ValueOf(&schedule).Elem(), "")
	compare(t, reflect.ValueOf(schedule), reflect.ValueOf(schedule.Public()))
	var executor api.ExecutorStatus
	fill(reflect.ValueOf(&executor).Elem(), "")
	executor.Command = "/secret/cpulb-python"
	compare(t, reflect.ValueOf(executor), reflect.ValueOf(executor.Public()))
}

func TestEverybodyLearnsThatSomethingIsWrong(t *testing.T) {
	general := api.Status{Components: map[string]api.Component{"a": {Health: api.Degraded, Reason: "/secret", PublicReason: "half"}, "b": {Reason: "/secret"}, "c": {}}}.Public()
	if r := general.Components["a"].Reason; r != "half" {
		t.Error(r)
	}
	if r := general.Components["b"].Reason; !strings.Contains(r, "administrators see why") {
		t.Error(r)
	}
	if r := general.Components["c"].Reason; r != "" {
		t.Error(r)
	}
	w := api.PublicWorkers([]api.WorkerStatus{{Degraded: "stderr"}, {Leaving: "task 7"}, {}})
	if w[0].Degraded == "" || w[0].Leaving != "" || w[1].Leaving == "" || w[2].Leaving+w[2].Degraded != "" {
		t.Errorf("%+v", w)
	}
}
