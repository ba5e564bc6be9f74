package supervisor

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
)

func TestWhatIsDroppedIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var mu sync.Mutex
		share := newThrottle(hclog.New(&hclog.LoggerOptions{Output: &log, Mutex: &mu}), "noise")
		said := func() string {
			mu.Lock()
			defer mu.Unlock()
			return log.String()
		}
		admitted := 0
		for range 1 << 12 { // 4 MiB
			if share.admits(1 << 10) {
				admitted++
			}
		}
		if n := admitted * (1<<10 + logLine); n > logBurst || n < logBurst-2<<10 {
			t.Errorf("%d lines were admitted", admitted)
		}
		if said() != "" {
			t.Errorf("told at once: %s", said())
		}
		time.Sleep(tellDropped)
		synctest.Wait()
		if want := fmt.Sprintf("of=noise bytes=%d lines=%d\n", (1<<12-admitted)<<10, 1<<12-admitted); !strings.HasSuffix(said(), want) || strings.Count(said(), "\n") != 1 {
			t.Errorf("after a while: %s, not %s", said(), want)
		}
		if !share.admits(1 << 10) {
			t.Error("there is still no room for a line")
		}
		for share.admits(0) {
		}
		share.tell()
		share.tell()
		if strings.Count(said(), "\n") != 2 || !strings.Contains(said(), "bytes=0 lines=1") {
			t.Errorf("at the end: %s", said())
		}
		time.Sleep(24 * time.Hour)
		if !share.admits(200 << 10) {
			t.Error("there is not all the room again")
		}
	})
}
