package result_test

import (
	"path/filepath"
	"reflect"
	"testing"

	"cpulb/bench/result"
	"cpulb/bench/stats"
)

func TestRoundsOfAFigureStayInTheirOrder(t *testing.T) {
	t.Parallel()
	r := result.New()
	for _, v := range []float64{3, 1, 2} {
		r.Add("rate", "a", v)
		r.Plot("depth", "a", 10, v)
	}
	r.Plot("depth", "a", 1, 5)
	if got := r.Of("rate", "a"); !reflect.DeepEqual(got, stats.Sample{3, 1, 2}) {
		t.Errorf("%v", got)
	}
	want := []result.Point{{X: 1, Y: stats.Sample{5}}, {X: 10, Y: stats.Sample{3, 1, 2}}}
	if got := r.Curves["depth"]["a"]; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, not %v", got, want)
	}
}

func TestWhatIsSavedIsLoaded(t *testing.T) {
	t.Parallel()
	r := result.New()
	r.Rounds = 2
	r.Add("rate", "a", 1.5)
	r.Plot("depth", "a", 10, 2)
	r.Saw(result.System{Name: "a", Versions: "1"})
	r.Saw(result.System{Name: "a", Versions: "1"})
	r.Lacks("b", "it is not there")
	r.Lacks("b", "it is not there")
	if len(r.Systems) != 1 || len(r.Absent) != 1 {
		t.Errorf("%v and %v are told twice", r.Systems, r.Absent)
	}
	path := filepath.Join(t.TempDir(), "results.json")
	if err := r.Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := result.Load(path)
	if err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("%+v, not %+v (%v)", got, r, err)
	}
}
