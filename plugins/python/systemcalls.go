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

// localFamilies are those of sockets that a namespace of the network bounds, and that scripts use. Of others,
// such as AF_VSOCK, by which a virtual machine reaches its host, there is one for all.
func localFamilies() []uint64 {
	return []uint64{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK}
}

// filterOf returns what refuses the calls that scripts have no use for, and those that lead out of a network of
// its own, as the kernel takes it; nil: none is to be refused.
func filterOf(scripts, noNetwork bool) ([]byte, error) {
	if !scripts && !noNetwork {
		return nil, nil
	}
	here, err := arch.GetInfo("")
	if err != nil {
		return nil, fmt.Errorf("%w: system_calls: %w", plugins.ErrBadSetting, err)
	}
	policy := seccomp.Policy{DefaultAction: seccomp.ActionAllow}
	if scripts {
		policy.Syscalls = append(policy.Syscalls, withoutUse(here)...)
	}
	if noNetwork {
		policy.Syscalls = append(policy.Syscalls, otherFamilies())
		if !scripts { // a ring makes sockets, too
			policy.Syscalls = append(policy.Syscalls, seccomp.SyscallGroup{Action: refuseWith(unix.EPERM), Names: []string{"io_uring_setup"}})
		}
	}
	program, err := policy.Assemble()
	if err != nil {
		return nil, fmt.Errorf("%w: system_calls: %w", plugins.ErrBadSetting, err)
	}
	return encoded(append(onlyOf(here), program...))
}

// withoutUse are the calls that scripts have no use for.
func withoutUse(here *arch.Info) []seccomp.SyscallGroup {
	var known []string
	for _, call := range deniedCalls() {
		if _, has := here.SyscallNames[call]; has {
			known = append(known, call)
		}
	}
	onAny := func(call string, bits uint64) seccomp.NameWithConditions {
		return seccomp.NameWithConditions{Name: call, Conditions: seccomp.ArgumentConditions{{Operation: seccomp.BitsSet, Value: bits}}}
	}
	return []seccomp.SyscallGroup{
		{Action: refuseWith(unix.EPERM), Names: known,
			NamesWithCondtions: []seccomp.NameWithConditions{onAny("clone", newNamespaces), onAny("unshare", newNamespaces|unix.CLONE_NEWTIME)}},
		// Its flags are in memory, where a filter can't look. The C library takes clone then.
		{Action: refuseWith(unix.ENOSYS), Names: []string{"clone3"}},
	}
}

// otherFamilies refuses sockets of all but the local ones, as a kernel does that lacks them.
func otherFamilies() seccomp.SyscallGroup {
	var none seccomp.ArgumentConditions
	for _, family := range localFamilies() {
		none = append(none, seccomp.Condition{Operation: seccomp.NotEqual, Value: family})
	}
	return seccomp.SyscallGroup{Action: refuseWith(unix.EAFNOSUPPORT), NamesWithCondtions: []seccomp.NameWithConditions{{Name: "socket", Conditions: none}}}
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
