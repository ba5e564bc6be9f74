package proc

import (
	"bytes"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// CountCalls counts the system calls of the processes, threads that they make meanwhile
// included, from now until the function that it returns is called, which returns the
// count. It takes perf(1) and the right to use it.
func CountCalls(pids []int) (func() (float64, error), error) {
	var names []string
	for _, pid := range pids {
		names = append(names, strconv.Itoa(pid))
	}
	var said bytes.Buffer
	perf := exec.Command("perf", "stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-p", strings.Join(names, ","))
	perf.Stderr = &said
	if err := perf.Start(); err != nil {
		return nil, err
	}
	time.Sleep(100 * time.Millisecond) // perf does not say when it counts
	return func() (float64, error) {
		perf.Process.Signal(unix.SIGINT)
		perf.Wait() // by the signal, or by an error, which said has
		count, _, _ := strings.Cut(strings.TrimSpace(said.String()), ",")
		n, err := strconv.ParseFloat(count, 64)
		if err != nil {
			return 0, fmt.Errorf("perf stat: %.200s", said.String())
		}
		return n, nil
	}, nil
}
