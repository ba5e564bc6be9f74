package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// cost is CPU time, of the process and of Go's collector in it, and how often that ran.
type cost struct {
	all, collector time.Duration
	collections    float64
}

// cpuOf says what f costs the daemon for each of n tasks.
func (d *daemon) cpuOf(n int, f func() error) (string, error) {
	before, err := d.spent()
	if err != nil {
		return "", err
	}
	began := time.Now()
	if err := f(); err != nil {
		return "", err
	}
	took := time.Since(began)
	after, err := d.spent()
	each := func(t time.Duration) float64 { return t.Seconds() * 1e6 / float64(n) }
	return fmt.Sprintf("%.1f µs of CPU a task, %.2f of them the collector, which ran %.0f times; %.0f tasks/s",
		each(after.all-before.all), each(after.collector-before.collector), after.collections-before.collections, float64(n)/took.Seconds()), err
}

func (d *daemon) spent() (c cost, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", d.PID))
	if err != nil {
		return c, err
	}
	var user, system int64 // in hundredths of a second
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		return c, err
	}
	stats, err := d.goStats("/debug/pprof/heap?debug=1")
	fraction := stats["GCCPUFraction"] * float64(runtime.NumCPU()) // of the time since its start
	return cost{time.Duration(user+system) * 10 * time.Millisecond, time.Duration(fraction * float64(time.Since(d.started))), stats["NumGC"]}, err
}
