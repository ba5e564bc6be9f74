package part

import (
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Names of what is measured, as the report has them.
const (
	Go             = "cpulb, Go client"
	Python         = "cpulb, Python client"
	GoInterval     = "cpulb, Go client, interval"
	PythonInterval = "cpulb, Python client, interval"
	GoGroup        = "cpulb, Go client, group"
	PythonGroup    = "cpulb, Python client, group"
	Thread         = "cpulb, threads"
	Process        = "cpulb, a process for each task"
	Futures        = "cpulb, futures.Executor"
	Executor       = "ProcessPoolExecutor"
	Pool           = "multiprocessing.Pool"
	Joblib         = "joblib"
	Celery         = "Celery with Redis"
	RQSimple       = "RQ with Redis, SimpleWorker"
	RQ             = "RQ with Redis, Worker"
	Dask           = "dask.distributed"
	UWSGI          = "uWSGI"
	Script         = "python3 script.py"
	// Limits: nobody does the work with less.
	Relay     = "C relay"
	Fdatasync = "one fdatasync"
	Bare      = "bare embedded call"
)

// Neighbour is a system of others.
type Neighbour struct {
	Name string
	// driver is its file, with arguments.
	driver []string
	// needs are Python modules and programs, by the Debian package that has them.
	needs map[string]string
	// restless: it works while nobody asks anything of it.
	restless bool
	// largest is the largest payload it is asked to carry, in bytes.
	largest int
	// quick: it does thousands of tasks a second; slow: not even a hundred.
	quick, slow bool
	// numbers: its params are numbers only.
	numbers bool
}

// Neighbours returns those that are measured, in the order of the tables: the
// yardstick first.
func Neighbours() []Neighbour {
	const mega = 1_000_000
	redis := func(more map[string]string) map[string]string {
		more["redis-server"], more["import redis"] = "redis-server", "python3-redis"
		return more
	}
	return []Neighbour{
		{Name: Executor, driver: []string{"process_pool.py"}, quick: true, largest: 100 * mega},
		{Name: Pool, driver: []string{"multiprocessing_pool.py"}, quick: true, largest: 100 * mega},
		{Name: Joblib, driver: []string{"joblib_parallel.py"}, needs: map[string]string{"import joblib": "python3-joblib"}, largest: 100 * mega},
		{Name: Celery, driver: []string{"celery_redis.py"}, restless: true, largest: 10 * mega,
			needs: redis(map[string]string{"import celery": "python3-celery"})},
		{Name: RQSimple, driver: []string{"rq_redis.py", "--class", "SimpleWorker"}, restless: true, largest: 10 * mega,
			needs: redis(map[string]string{"import rq": "python3-rq"})},
		{Name: RQ, driver: []string{"rq_redis.py", "--class", "Worker"}, restless: true, slow: true, largest: mega / 10,
			needs: redis(map[string]string{"import rq": "python3-rq"})},
		{Name: Dask, driver: []string{"dask_distributed.py"}, restless: true, largest: 10 * mega,
			needs: map[string]string{"import distributed": "python3-distributed"}},
		{Name: UWSGI, driver: []string{"uwsgi_socket.py"}, restless: true, largest: 100 * mega,
			needs: map[string]string{"uwsgi": "uwsgi-core", "/usr/lib/uwsgi/plugins/python3_plugin.so": "uwsgi-plugin-python3"}},
		{Name: Script, driver: []string{"python_script.py"}, numbers: true},
	}
}

// File is the driver's.
func (n Neighbour) File() string { return n.driver[0] }

// Packages are the Debian packages that it takes.
func (n Neighbour) Packages() []string { return slices.Sorted(maps.Values(n.needs)) }

// missing returns the Debian packages that a neighbour lacks.
func (n Neighbour) missing(python string) []string {
	var packages []string
	for need, name := range n.needs {
		var err error
		if module, ok := strings.CutPrefix(need, "import "); ok {
			err = exec.Command(python, "-c", "import importlib.util, sys; sys.exit(importlib.util.find_spec('"+module+"') is None)").Run()
		} else if filepath.IsAbs(need) {
			_, err = filepath.EvalSymlinks(need)
		} else {
			_, err = exec.LookPath(need)
		}
		if err != nil {
			packages = append(packages, name)
		}
	}
	return packages
}
