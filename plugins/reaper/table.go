package reaper

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
)

// process is one line of a table. pid and began together are its identity.
type process struct {
	pid, parent int
	began       Moment
}

// Moment is a point in time in the kernel's clock ticks since its boot, as
// /proc/PID/stat has it.
type Moment uint64

// Began returns when a process began; 0 if it has ended and been waited for.
func Began(pid int) Moment {
	p, err := read(pid)
	if err != nil {
		return 0
	}
	return p.began
}

// table is what one look at /proc found alive.
type table []process

var errStat = errors.New("not a line of /proc/PID/stat")

// look reads /proc. Processes that end meanwhile are left out.
func look() (table, error) {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer proc.Close()
	names, err := proc.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var t table
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if p, err := read(pid); err == nil {
			t = append(t, p)
		}
	}
	return t, nil
}

// errEnded: what is left of the process waits for its parent only.
var errEnded = errors.New("the process has ended")

func read(pid int) (process, error) {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, err
	}
	return parse(line)
}

// parse reads a line of proc_pid_stat(5): pid (comm) state ppid … starttime …,
// where comm may have anything in it, also blanks and parentheses.
func parse(line []byte) (process, error) {
	head, _, ok := bytes.Cut(line, []byte(" ("))
	end := bytes.LastIndexByte(line, ')')
	if !ok || end < 0 {
		return process{}, errStat
	}
	const state, parent, threads, starttime = 0, 1, 17, 19 // after comm
	fields := bytes.Fields(line[end+1:])
	if len(fields) <= starttime {
		return process{}, errStat
	}
	if ended(fields[state][0], string(fields[threads])) {
		return process{}, errEnded
	}
	pid, err := strconv.Atoi(string(head))
	ppid, err2 := strconv.Atoi(string(fields[parent]))
	began, err3 := strconv.ParseUint(string(fields[starttime]), 10, 64)
	if err := errors.Join(err, err2, err3); err != nil {
		return process{}, fmt.Errorf("%w: %w", errStat, err)
	}
	return process{pid: pid, parent: ppid, began: Moment(began)}, nil
}

// ended tells whether a process has ended, from the state of its first thread and the number
// of its threads. That thread may end before the others (exit(2) as a bare system call): the
// process waits for its parent, a zombie, once no other thread is left.
func ended(state byte, threads string) bool {
	return state == 'X' || state == 'Z' && (threads == "1" || threads == "0") // 0: it is being removed
}

// began returns when a process of the table began, else 0.
func (t table) began(pid int) Moment {
	for _, p := range t {
		if p.pid == pid {
			return p.began
		}
	}
	return 0
}

// since returns those that began then or later.
func (t table) since(m Moment) table {
	var later table
	for _, p := range t {
		if p.began >= m {
			later = append(later, p)
		}
	}
	return later
}

// marked returns those with a mark for which is returns true.
func (t table) marked(is func(mark string) bool) []process {
	var found []process
	for _, p := range t {
		if mark, ok := markOf(p.pid); ok && is(mark) {
			found = append(found, p)
		}
	}
	return found
}

// markOf finds the mark of a process whose environment may be read.
func markOf(pid int) (mark string, ok bool) {
	all, err := environ(pid)
	if err != nil {
		return "", false
	}
	return findMark(all)
}

func findMark(environ []byte) (mark string, ok bool) {
	for entry := range bytes.SplitSeq(environ, []byte{0}) {
		if value, ok := bytes.CutPrefix(entry, []byte(MarkEnv+"=")); ok {
			return string(value), true
		}
	}
	return "", false
}

// tree returns roots and all of their descendants, without spare and ourselves.
func (t table) tree(roots []process, spare int) []process {
	children := map[int][]process{}
	for _, p := range t {
		children[p.parent] = append(children[p.parent], p)
	}
	var all []process
	seen := map[int]bool{}
	for todo := roots; len(todo) > 0; {
		p := todo[0]
		todo = todo[1:]
		if seen[p.pid] {
			continue
		}
		seen[p.pid] = true
		if p.pid != spare && p.pid != self() {
			all = append(all, p)
		}
		todo = append(todo, children[p.pid]...)
	}
	return all
}
