package python

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"cpulb/plugins"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// scriptCalls is the set of system calls that a script has no use for: system_calls = "scripts".
const scriptCalls = "scripts"

// deniedCalls fail with EPERM. What a processor doesn't have is left out.
func deniedCalls() []string {
	return []string{
		// Mounts and namespaces; clone and unshare are looked at more closely.
		"mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "open_tree_attr", "fsopen", "fsconfig", "fsmount",
		"fspick", "mount_setattr", "setns", "open_by_handle_at",
		// Other processes.
		"ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp", "pidfd_getfd",
		// What is mostly a way into the kernel.
		"bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register", "fanotify_init",
		"keyctl", "add_key", "request_key", "vmsplice", "modify_ldt", "lookup_dcookie", "nfsservctl", "uselib", "vm86", "vm86old",
		// The machine as a whole.
		"kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "create_module", "reboot", "swapon",
		"swapoff", "acct", "quotactl", "quotactl_fd", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex",
		"sethostname", "setdomainname", "syslog", "ioperm", "iopl", "vhangup",
	}
}

// newNamespaces are the flags of clone and unshare that make one. CLONE_NEWTIME is among the
// bits that are a signal's number for clone.
const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER |
	unix.CLONE_NEWPID | unix.CLONE_NEWNET

// systemCalls returns the filter of that name, as the kernel takes it.
func systemCalls(name string) ([]byte, error) {
	if name != scriptCalls {
		return nil, fmt.Errorf("%w: system_calls: %q is not a set of system calls (allowed: %q)", plugins.ErrBadSetting, name, scriptCalls)
	}
	here, err := arch.GetInfo("")
	if err != nil {
		return nil, fmt.Errorf("%w: system_calls: %w", plugins.ErrBadSetting, err)
	}
	var known []string
	for _, call := range deniedCalls() {
		if _, has := here.SyscallNames[call]; has {
			known = append(known, call)
		}
	}
	onAny := func(call string, bits uint64) seccomp.NameWithConditions {
		return seccomp.NameWithConditions{Name: call, Conditions: seccomp.ArgumentConditions{{Operation: seccomp.BitsSet, Value: bits}}}
	}
	policy := seccomp.Policy{DefaultAction: seccomp.ActionAllow, Syscalls: []seccomp.SyscallGroup{
		{Action: refuseWith(unix.EPERM), Names: known,
			NamesWithCondtions: []seccomp.NameWithConditions{onAny("clone", newNamespaces), onAny("unshare", newNamespaces|unix.CLONE_NEWTIME)}},
		// Its flags are in memory, where a filter can't look. The C library takes clone then.
		{Action: refuseWith(unix.ENOSYS), Names: []string{"clone3"}},
	}}
	program, err := policy.Assemble()
	if err != nil {
		return nil, fmt.Errorf("%w: system_calls: %w", plugins.ErrBadSetting, err)
	}
	return encoded(append(onlyOf(here), program...))
}

func refuseWith(reason unix.Errno) seccomp.Action {
	return seccomp.ActionErrno | seccomp.Action(reason)
}

// onlyOf refuses the calls of another processor's kind, such as 32-bit ones on a 64-bit machine. Their
// numbers have other meanings, and the policy's own program allows them all.
func onlyOf(here *arch.Info) []bpf.Instruction {
	const offsetOfArch = 4 // in struct seccomp_data
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: offsetOfArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(here.ID), SkipTrue: 1},
		bpf.RetConstant{Val: uint32(refuseWith(unix.ENOSYS))},
	}
}

func encoded(program []bpf.Instruction) ([]byte, error) {
	raw, err := bpf.Assemble(program)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for _, i := range raw {
		if err := binary.Write(&b, binary.NativeEndian, unix.SockFilter{Code: i.Op, Jt: i.Jt, Jf: i.Jf, K: i.K}); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}
