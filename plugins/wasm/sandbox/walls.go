package sandbox

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// everyThread is a system call for all threads of the process.
type everyThread func(trap, a1, a2, a3 uintptr) (r1, r2 uintptr, err syscall.Errno)

// enclose gives up for ever what no module needs, so that one that finds a hole in the runtime
// has found a way into this process, and not out of it: no program, no process but its own, no
// socket, no file that is written, but for the cache's in a process that compiles; and, where the
// kernel has Landlock, no file at all but the cache's. It is called once all folders are there.
func enclose(c Config, all everyThread) error {
	if _, _, err := all(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0); err != 0 {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	if err := filesOnly(c, all); err != nil {
		return fmt.Errorf("landlock: %w", err)
	}
	policy, err := callsOf(c.Compiles)
	if err != nil {
		return fmt.Errorf("seccomp: %w", err)
	}
	if err := filter(policy); err != nil {
		return fmt.Errorf("seccomp: %w", err)
	}
	return nil
}

// filter has the kernel hold all threads to policy, and refuse the calls of another processor's
// kind, such as 32-bit ones on a 64-bit machine: their numbers have other meanings, and the
// policy's own program allows them all.
func filter(policy seccomp.Policy) error {
	here, err := arch.GetInfo("")
	if err != nil {
		return err
	}
	program, err := policy.Assemble()
	if err != nil {
		return err
	}
	const offsetOfArch = 4 // in struct seccomp_data
	raw, err := bpf.Assemble(append([]bpf.Instruction{
		bpf.LoadAbsolute{Off: offsetOfArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(here.ID), SkipTrue: 1},
		bpf.RetConstant{Val: uint32(seccomp.ActionErrno | seccomp.Action(unix.ENOSYS))},
	}, program...))
	if err != nil {
		return err
	}
	code := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		code[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	text := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&text)))
	if errno != 0 {
		return errno
	}
	return nil
}

// usedCalls are the system calls of Go's runtime and of wazero's. What a processor doesn't have
// is left out.
func usedCalls() []string {
	return []string{
		"read", "write", "readv", "writev", "pread64", "close", "lseek", "fstat", "newfstatat", "fstatat", "statx", "getdents64", "readlinkat",
		"mmap", "mprotect", "munmap", "mremap", "madvise", "mincore", "brk", "membarrier",
		"futex", "nanosleep", "clock_nanosleep", "clock_gettime", "clock_getres", "gettimeofday", "time", "getrandom",
		"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall",
		"sched_yield", "sched_getaffinity", "gettid", "getpid", "exit", "exit_group", "set_robust_list", "rseq", "arch_prctl", "uname",
		"epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "eventfd2", "pipe2", "poll", "ppoll",
	}
}

// writingCalls are those of a process that writes to the cache.
func writingCalls() []string {
	return []string{"openat", "fsync", "fdatasync", "rename", "renameat", "renameat2", "unlink", "unlinkat", "ftruncate", "pwrite64"}
}

// callsOf is what a process may call; anything else fails with EPERM.
func callsOf(writes bool) (seccomp.Policy, error) {
	here, err := arch.GetInfo("")
	if err != nil {
		return seccomp.Policy{}, err
	}
	names := usedCalls()
	if writes {
		names = append(names, writingCalls()...)
	}
	var known []string
	for _, name := range names {
		if _, has := here.SyscallNames[name]; has {
			known = append(known, name)
		}
	}
	only := func(call string, argument uint32, op seccomp.Operation, value uint64) seccomp.NameWithConditions {
		return seccomp.NameWithConditions{Name: call, Conditions: seccomp.ArgumentConditions{{Argument: argument, Operation: op, Value: value}}}
	}
	bounded := []seccomp.NameWithConditions{
		only("clone", 0, seccomp.BitsSet, unix.CLONE_THREAD),
		only("tgkill", 0, seccomp.Equal, uint64(os.Getpid())),
		only("fcntl", 1, seccomp.LessOrEqual, unix.F_SETFL), // not F_SETOWN, which has others signalled
		only("prctl", 0, seccomp.Equal, unix.PR_SET_VMA),
	}
	if !writes {
		bounded = append(bounded, only("openat", 2, seccomp.BitsNotSet, unix.O_WRONLY|unix.O_RDWR|unix.O_CREAT|unix.O_TRUNC))
	}
	return seccomp.Policy{DefaultAction: seccomp.ActionErrno, // EPERM
		Syscalls: []seccomp.SyscallGroup{
			{Action: seccomp.ActionAllow, Names: known, NamesWithCondtions: bounded},
			// Its flags are in memory, where a filter can't look. The C library takes clone then.
			{Action: seccomp.ActionErrno | seccomp.Action(unix.ENOSYS), Names: []string{"clone3"}},
		}}, nil
}

// What a process may do with files beneath the cache's folder.
const (
	reads  = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	writes = unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE
)

// filesOnly leaves the process the files of its cache only. A kernel without Landlock is no error.
func filesOnly(c Config, all everyThread) error {
	version, _, err := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if err != 0 {
		if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP) {
			return nil
		}
		return err
	}
	handled := uint64(unix.LANDLOCK_ACCESS_FS_MAKE_SYM)<<1 - 1 // all of the first version
	if version >= 2 {
		handled |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if version >= 3 {
		handled |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	ruleset, _, err := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&handled)), unsafe.Sizeof(handled), 0)
	if err != 0 {
		return err
	}
	defer unix.Close(int(ruleset))
	if c.CacheDir != "" {
		if err := permit(int(ruleset), c); err != nil {
			return err
		}
	}
	if _, _, err = all(unix.SYS_LANDLOCK_RESTRICT_SELF, ruleset, 0, 0); err != 0 {
		return err
	}
	return nil
}

// permit adds the cache's folder to a ruleset.
func permit(ruleset int, c Config) error {
	folder, err := unix.Open(c.CacheDir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(folder)
	may := uint64(reads)
	if c.Compiles {
		may |= writes
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: may, Parent_fd: int32(folder)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
