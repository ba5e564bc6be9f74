package config

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestTheDocumentedMostMemoryIsThatOfTheDefault(t *testing.T) {
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	figure := fmt.Sprintf("%.1f GiB", float64(Default().mostMemory(4))/(1<<30))
	if !strings.Contains(string(page), "With the default configuration and four CPUs this is "+figure) {
		t.Errorf("docs/operations.md does not say that it is %s", figure)
	}
	for _, key := range []string{"queue.max_bytes", "queue.max_tasks", "results.max_bytes", "results.max", "limits.in_flight", "limits.connections", "limits.watches",
		"limits.body_size", "limits.result_size", "limits.output_size"} {
		if !strings.Contains(string(page), "`"+key+"`") {
			t.Errorf("docs/operations.md does not name %s", key)
		}
	}
	for name, n := range map[string]int64{"task": TaskBytes, "result": ResultBytes, "connection": ConnectionBytes, "watch": WatchBytes} {
		if text := fmt.Sprintf("%d KiB for each %s", n>>10, name); !strings.Contains(string(page), text) {
			t.Errorf("docs/operations.md does not have %q", text)
		}
	}
}

func TestEveryBoundCountsForTheMostMemory(t *testing.T) {
	least := Default().mostMemory(4)
	for name, change := range map[string]func(*Config){
		"queue.max_tasks":        func(c *Config) { c.Queue.MaxTasks *= 2 },
		"queue.max_bytes":        func(c *Config) { c.Queue.MaxBytes *= 2 },
		"results.max":            func(c *Config) { c.Results.Max *= 2 },
		"results.max_bytes":      func(c *Config) { c.Results.MaxBytes *= 2 },
		"limits.in_flight":       func(c *Config) { c.Limits.InFlightBytes *= 2 },
		"limits.body_size":       func(c *Config) { c.Limits.BodyBytes *= 2 },
		"limits.result_size":     func(c *Config) { c.Limits.ResultBytes *= 2 },
		"limits.output_size":     func(c *Config) { c.Limits.OutputBytes *= 2 },
		"limits.connections":     func(c *Config) { c.Limits.Connections *= 2 },
		"limits.watches":         func(c *Config) { c.Limits.Watches *= 2 },
		"tracing.endpoint":       func(c *Config) { c.Tracing.Endpoint = "http://127.0.0.1:4317" },
		"pool.workers":           func(c *Config) { c.Pools[1].Workers++ },
		"pool.max_workers":       func(c *Config) { c.Pools[1].MaxWorkers = 9 },
		"pool.spare":             func(c *Config) { c.Pools[0].Spare++ },
		"pool.relief":            func(c *Config) { c.Pools[0].Relief++ },
		"pool.threads":           func(c *Config) { c.Pools[0].Threads++ },
		"pool.async_concurrency": func(c *Config) { c.Pools[1].AsyncConcurrency = 1 },
	} {
		c := Default()
		change(c)
		if c.mostMemory(4) <= least {
			t.Errorf("more of %s is no more memory", name)
		}
	}
	c := Default()
	if c.Limits.InFlightBytes = 1; c.Limits.InFlight() != 6*128<<20+64<<10 {
		t.Errorf("in flight: %d", c.Limits.InFlight())
	}
}
