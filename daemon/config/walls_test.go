package config

import (
	"maps"
	"testing"
)

func TestAnExecutorIsToldOfTheWallsThatAreSet(t *testing.T) {
	plain := Pool{Walls: Walls{Processes: true}}
	if got, want := plain.Settings(), map[string]string{"isolation": "process", "max_tasks": "1"}; !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	all := Pool{Walls: Walls{Processes: true, PrivateTmp: true, NoNetwork: true, ReadOnly: true, SystemCalls: "scripts"}}
	want := map[string]string{"isolation": "process", "max_tasks": "1", "private_tmp": "true", "network": "false", "read_only": "true",
		"system_calls": "scripts"}
	if got := all.Settings(); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
