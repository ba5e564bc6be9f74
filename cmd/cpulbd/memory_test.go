package main

import "testing"

func TestMemoryIsGivenBackOnceTheDaemonIsAtRest(t *testing.T) {
	const mib = 1 << 20
	for what, x := range map[string]struct {
		now  footprint
		want bool
	}{
		"garbage of a load before": {footprint{allocated: 1001 * mib, used: 60 * mib, live: 40 * mib}, true},
		"room of a peak before":    {footprint{allocated: 1001 * mib, used: 41 * mib, live: 40 * mib, free: 500 * mib}, true},
		"a load":                   {footprint{allocated: 1100 * mib, used: 60 * mib, live: 40 * mib, free: 500 * mib}, false},
		"little to gain":           {footprint{allocated: 1001 * mib, used: 45 * mib, live: 40 * mib, free: mib}, false},
		"little for what it costs": {footprint{allocated: 1001 * mib, used: 720 * mib, live: 700 * mib}, false},
		"all that was live gone":   {footprint{allocated: 1000 * mib, used: 10 * mib, live: 40 * mib}, false},
	} {
		if got := x.now.idle(footprint{allocated: 1000 * mib}); got != x.want {
			t.Errorf("%s: it is given back: %v", what, got)
		}
	}
}

func TestTheFiguresOfMemoryAreThere(t *testing.T) {
	if f := look(); f.allocated == 0 || f.used == 0 || f.used > f.allocated {
		t.Errorf("%+v", f)
	}
}
