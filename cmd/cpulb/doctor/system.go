package doctor

import (
	"cmp"
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cpulb/daemon/api"
)

// path returns where a path of the system is.
func (p *patient) path(name string) string { return filepath.Join(p.Root, name) }

func (p *patient) read(name string) (string, error) {
	text, err := os.ReadFile(p.path(name))
	return strings.TrimSpace(string(text)), err
}

// Kernels from which on something is there.
var (
	withOpenat2    = [2]int{5, 6}
	withCgroupKill = [2]int{5, 14}
)

func (p *patient) kernel(context.Context) {
	release, err := p.read("proc/sys/kernel/osrelease")
	var v [2]int
	if err == nil {
		_, err = fmt.Sscanf(release, "%d.%d", &v[0], &v[1])
	}
	switch {
	case err != nil:
		p.add("kernel", Warning, "", "the kernel's version can't be read: %v", err)
	case slices.Compare(v[:], withOpenat2[:]) < 0:
		p.add("kernel", Warning, "use Linux 5.14 or later", "Linux %s has no openat2: access.script_dirs can't be enforced, and cgroups can't be ended at once", release)
	case slices.Compare(v[:], withCgroupKill[:]) < 0:
		p.add("kernel", Warning, "use Linux 5.14 or later", "Linux %s has no cgroup.kill: what a script has started may outlive its worker", release)
	default:
		p.ok("kernel", "Linux %s", release)
	}
}

func (p *patient) cgroups(context.Context) {
	const remedy = "boot with systemd.unified_cgroup_hierarchy=1, or have the container's runtime pass cgroup v2 on"
	controllers, err := p.read("sys/fs/cgroup/cgroup.controllers")
	if err != nil {
		p.add("cgroups", Warning, remedy, "cgroup v2 is not mounted on /sys/fs/cgroup: workers' memory is bounded by rlimits alone, and their pids are not")
		return
	}
	var missing []string
	for _, name := range []string{"memory", "pids"} {
		if !slices.Contains(strings.Fields(controllers), name) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		p.add("cgroups", Warning, remedy, "cgroup v2 lacks the controllers %s, which bound workers", strings.Join(missing, " and "))
		return
	}
	p.ok("cgroups", "version 2, with the controllers memory and pids")
}

// programs looks for the programs that belong together.
func (p *patient) programs(ctx context.Context) {
	for _, name := range []string{"cpulbd", "cpulb-python"} {
		path, err := p.Find(name)
		if err != nil {
			p.add(name, Failed, "install the package cpulb whole, or make build", "%v", err)
			continue
		}
		said, err := p.Run(ctx, path, "-version")
		switch version := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(said), name)); {
		case err != nil:
			p.add(name, Failed, remedyOf(said), "%s does not run: %s", path, firstLine(said, err))
		case version != p.Version:
			p.add(name, Warning, "install one version of all programs", "%s is of version %s, and this program of %s", path, version, p.Version)
		default:
			p.ok(name, "%s, version %s", path, version)
		}
	}
}

// missingLibrary is what the dynamic loader says.
var missingLibrary = regexp.MustCompile(`(libpython3\.\d+)\S*: cannot open shared object file`)

func remedyOf(said string) string {
	if m := missingLibrary.FindStringSubmatch(said); m != nil {
		return "apt install " + m[1]
	}
	return "reinstall it"
}

func firstLine(said string, err error) string {
	line, _, _ := strings.Cut(strings.TrimSpace(said), "\n")
	if line == "" {
		return err.Error()
	}
	return line
}

// libpython is what cpulb-python is linked with.
var libpython = regexp.MustCompile(`^libpython(3\.(\d+))\S*\.so`)

// firstPython is the first 3.x that is embedded.
const firstPython = 11

// python looks for the interpreter beside the library: plain scripts in shared workers and
// multiprocessing's children are run by it, and the standard library comes with it.
func (p *patient) python(ctx context.Context) {
	path, err := p.Find("cpulb-python")
	if err != nil {
		return // that has been said
	}
	version, err := linkedPython(path)
	switch minor, _ := strconv.Atoi(strings.TrimPrefix(version, "3.")); {
	case err != nil:
		p.add("python", Warning, "", "%s: %v", path, err)
		return
	case minor < firstPython:
		p.add("python", Failed, "build it with CPython 3.11 or later", "%s is linked with CPython %s", path, version)
		return
	}
	said, err := p.Run(ctx, "python"+version, "-c", "import encodings, json, sys; print(sys.version.split()[0])")
	if err != nil {
		p.add("python", Warning, "apt install python"+version, "libpython %s is linked, but python%s, with which plain scripts run in shared workers, does not run: %s",
			version, version, firstLine(said, err))
		return
	}
	p.ok("python", "libpython %s is linked, and python%s is %s", version, version, strings.TrimSpace(said))
}

// errNoPython is returned for a program that brings its Python along, or has none.
var errNoPython = errors.New("it is not linked with a libpython")

func linkedPython(path string) (string, error) {
	f, err := elf.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	libraries, err := f.ImportedLibraries()
	if err != nil {
		return "", err
	}
	for _, name := range libraries {
		if m := libpython.FindStringSubmatch(name); m != nil {
			return m[1], nil
		}
	}
	return "", errNoPython
}

// configuration has cpulbd check the file of the daemon that runs, else the one that it would
// have.
func (p *patient) configuration(ctx context.Context) {
	path, err := p.Find("cpulbd")
	if err != nil {
		return
	}
	args := []string{"-check-config", "-json"}
	if p.status != nil {
		pid := p.status.Engine.PID
		file, err := p.File(pid, "config")
		if err != nil {
			p.ok("configuration", "its file is not known, and not checked; cpulb config check FILE does: %v", err)
			return
		}
		for _, given := range [][2]string{{"config", file}, {"worker-user", p.Flag(pid, "worker-user")}} {
			if given[1] != "" {
				args = append(args, "-"+given[0]+"="+given[1])
			}
		}
	}
	said, err := p.Run(ctx, path, args...)
	var v api.Verdict
	if bad := json.Unmarshal([]byte(said), &v); bad != nil {
		p.add("configuration", Failed, "cpulb config check says what is wrong", "it can't be checked: %s", firstLine(strings.TrimPrefix(said, "cpulbd: "), cmp.Or(err, bad)))
		return
	}
	p.judge(&v)
}

// judge reports what cpulbd has found.
func (p *patient) judge(v *api.Verdict) {
	if !v.OK {
		for _, m := range v.Errors {
			p.add("configuration", Failed, "mend the file; cpulb config check looks at it again", "%s", m)
		}
		return
	}
	for _, warning := range v.Warnings {
		p.add("configuration", Warning, "", "%s", warning)
	}
	if !p.memory(v.MemoryBytes) && len(v.Warnings) == 0 {
		p.ok("configuration", "%s", v.Source)
	}
}

// memory compares what the daemon may take with what there is.
func (p *patient) memory(most int64) (warned bool) {
	text, err := p.read("proc/meminfo")
	var kib int64
	if err == nil {
		_, err = fmt.Sscanf(text, "MemTotal: %d kB", &kib)
	}
	if err == nil && most>>10 > kib {
		p.add("configuration", Warning, "make queue.max_bytes, results.max_bytes and limits.connections smaller; docs/operations.md, Memory, says of what it is the sum",
			"callers can have the daemon take %d MiB by its configuration, and the machine has %d", most>>20, kib>>10)
		return true
	}
	return false
}
