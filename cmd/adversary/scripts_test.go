package adversary_test

import (
	"fmt"
	"strings"
)

// scripts are what the tasks here run, by the names of their files.
func scripts() map[string]string {
	return map[string]string{
		"echo.py":   "def main(params): return params\n",
		"large.py":  "def main(params): return 'x' * params\n",
		"sleeps.py": "import time\ndef main(params): time.sleep(3600)\n",
		"loops.py":  "def main(params):\n    while True: pass\n",
		"fails.py":  "def main(params): raise ValueError('x' * 1000)\n",
		"chatty.py": "def main(params, context):\n    while True: context.progress(0.5, 'x' * 100)\n",
		"errors.py": "def main(params): raise ValueError('x' * params)\n",
		"kinds.py":  "def main(params): raise type('x' * params, (Exception,), {})('no')\n",
		"prints.py": "def main(params):\n    for _ in range(params): print('x' * (1 << 20))\n",
		"yields.py": "def main(params):\n    for _ in range(params): yield 'x' * 1000\n",
		"partly.py": "import time\ndef main(params):\n    for _ in range(params): yield 'x' * (1 << 20)\n    time.sleep(3600)\n",
		"stderr.py": "import os\ndef main(params):\n    for _ in range(params): os.write(2, b'x' * 4095 + b'\\n')\n",
		"logs.py":   "def main(params, context):\n    while True: context.log.info('x' * 1000)\n",
		"dies.py":   "import os\ndef main(params): os.kill(os.getpid(), 9)\n",
		"forks.py":  "import os, time\ndef main(params):\n    for _ in range(20):\n        if os.fork() == 0: time.sleep(3600); os._exit(0)\n    return 1\n",
	}
}

// scriptAttacks have scripts do it.
func scriptAttacks() []attack {
	const io = `,"task_type":"io_bound"`
	batches := func(script, more string, tasks, together int) func(f *foe) {
		return func(f *foe) {
			body := strings.Repeat(f.task(script, more)+"\n", tasks)
			f.each(together, func() {
				_, answer := f.ask(sized("POST", "/v1/batches", body))
				f.ask(request("GET", "/v1/batches/"+idIn(answer, "batch_id")+"/results", "", "")) // as quickly as they come
			})
		}
	}
	return []attack{
		{name: "results that are kept for long", run: batches("large.py", fmt.Sprintf(`,"params":%d,"result_ttl":"8760h"`+io, 1<<20), 20, 2)},
		{name: "results of 16 MB in all slots", run: batches("large.py", `,"params":16000000`+io, 16, 3)},
		{name: "params and results of 16 MB in all slots", run: func(f *foe) {
			task := f.task("echo.py", io+`,"params":"`+strings.Repeat("x", 16_000_000)+`"`)
			f.each(16, func() { f.ask(sized("POST", "/v1/tasks?wait=1m", task)) })
		}},
		{name: "yields of 15 MB in all slots", run: func(f *foe) { f.flood(1, "partly.py", `,"params":15`+io) }},
		{name: "small results that are kept for long", run: func(f *foe) { f.flood(2, "echo.py", `,"result_ttl":"8760h"`) }},
		{name: "error messages of 100 MB", run: batches("errors.py", fmt.Sprintf(`,"params":%d`+io, 100_000_000), 2, 1)},
		{name: "error types of 10 MB", run: batches("kinds.py", fmt.Sprintf(`,"params":%d`+io, 10_000_000), 4, 1)},
		{name: "output of 100 MB", run: batches("prints.py", `,"params":100`+io, 4, 1)},
		{name: "a million yields", run: batches("yields.py", `,"params":1000000`+io, 4, 1)},
		{name: "a flood of events that nobody reads", run: batches("chatty.py", io, 8, 1)},
		{name: "a flood of log lines of scripts", run: batches("logs.py", io, 8, 1)},
		{name: "a flood on descriptor 2", run: batches("stderr.py", `,"params":5000`+io, 4, 2)},
		{name: "a flood on descriptor 2 of a process of one's own", run: batches("stderr.py", `,"params":5000`, 4, 2)},
		{name: "workers that die while connections are exhausted", deaths: true, run: func(f *foe) {
			go takeAllConnections(f)
			batches("dies.py", io, 3, 2)(f)
		}},
		{name: "workers that die", deaths: true, run: batches("dies.py", "", 3, 2)},
		{name: "children that are left behind", run: batches("forks.py", "", 3, 2)},
	}
}
