package supervisor

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrUser is matched when workers can't run as the user that the configuration names.
var ErrUser = errors.New("workers can't run as another user")

// User is whom a worker runs as.
type User struct {
	UID, GID uint32
	Groups   []uint32
	// Name and Home are its HOME, USER and LOGNAME; Name is empty for a number without a name.
	Name, Home string
}

// FindUser finds a user by name or number, with a group, by name or number, instead of its
// own unless that is empty.
func FindUser(name, group string) (*User, error) {
	u := &User{Home: "/"}
	entry, err := user.Lookup(name)
	if err != nil {
		entry, err = user.LookupId(name)
	}
	switch {
	case err == nil:
		if err := u.take(entry); err != nil {
			return nil, fmt.Errorf("user %.64q: %w", name, err)
		}
	case !isNumber(name):
		return nil, fmt.Errorf("there is no user %.64q; a name or a number is allowed", name)
	case group == "":
		return nil, fmt.Errorf("user %s has no entry, and so no group of its own; name one (group)", name)
	default:
		u.UID = number(name)
	}
	if group != "" {
		if u.GID, err = findGroup(group); err != nil {
			return nil, err
		}
		u.Groups = []uint32{u.GID}
	}
	return u, nil
}

func (u *User) take(entry *user.User) error {
	groups, err := entry.GroupIds()
	if err != nil {
		return err
	}
	u.UID, u.GID, u.Name, u.Home = number(entry.Uid), number(entry.Gid), entry.Username, entry.HomeDir
	for _, g := range groups {
		u.Groups = append(u.Groups, number(g))
	}
	return nil
}

func findGroup(name string) (uint32, error) {
	if g, err := user.LookupGroup(name); err == nil {
		return number(g.Gid), nil
	}
	if !isNumber(name) {
		return 0, fmt.Errorf("there is no group %.64q; a name or a number is allowed", name)
	}
	return number(name), nil
}

// number reads an id that is one.
func number(text string) uint32 {
	n, _ := strconv.ParseUint(text, 10, 32)
	return uint32(n)
}

// isNumber reports whether text can be an id: the last one means nobody to the kernel.
func isNumber(text string) bool {
	n, err := strconv.ParseUint(text, 10, 32)
	return err == nil && n != 1<<32-1
}

// needed are the capabilities that starting, governing and ending workers of another user
// takes, and cleaning up after them.
var needed = []struct {
	bit  uint
	name string
}{
	{unix.CAP_SETUID, "CAP_SETUID"}, {unix.CAP_SETGID, "CAP_SETGID"},
	{unix.CAP_CHOWN, "CAP_CHOWN"},                                    // the worker's folder, which is then reached as its user
	{unix.CAP_KILL, "CAP_KILL"}, {unix.CAP_SYS_NICE, "CAP_SYS_NICE"}, // ending it, moving a spare to other CPUs
}

// MayChangeUser returns why this process may not run workers as another user; the error
// matches ErrUser.
func MayChangeUser() error {
	effective, err := capabilities()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUser, err)
	}
	var lacking []string
	for _, c := range needed {
		if effective>>c.bit&1 == 0 {
			lacking = append(lacking, c.name)
		}
	}
	if len(lacking) > 0 {
		return fmt.Errorf("%w: the daemon is neither root nor has %s", ErrUser, strings.Join(lacking, ", "))
	}
	return nil
}

// capabilities returns the effective ones, a bit for each.
func capabilities() (uint64, error) {
	status, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "CapEff:"); ok {
			return strconv.ParseUint(strings.TrimSpace(value), 16, 64)
		}
	}
	return 0, errors.New("the kernel does not say which capabilities there are")
}

// become has the next child of the calling thread, which must end soon, run as u, without
// any privilege, and never with one again.
func (u *User) become(attr *syscall.SysProcAttr) error {
	attr.Credential = &syscall.Credential{Uid: u.UID, Gid: u.GID, Groups: u.Groups}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("%w: no_new_privs: %w", ErrUser, err)
	}
	for bit := uintptr(0); bit < 64; bit++ {
		// EINVAL is behind the last one. Without CAP_SETPCAP it can't be, and needn't: what has
		// no_new_privs gets nothing from the bounding set, unless it is root.
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, bit, 0, 0, 0); err != nil {
			if errors.Is(err, unix.EPERM) && u.UID == 0 {
				return fmt.Errorf("%w: root without capabilities takes CAP_SETPCAP: %w", ErrUser, err)
			}
			break
		}
	}
	return nil
}

// dropAmbient takes from the next program of the calling thread what the daemon has been
// given for its own work.
func dropAmbient() {
	_ = unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) // an error: the kernel knows none
	_ = lessen(func(set *unix.CapUserData) { set.Inheritable = 0 })
}

// dropEffective takes all capabilities from the calling thread.
func dropEffective() error {
	return lessen(func(set *unix.CapUserData) { set.Effective = 0 })
}

// lessen takes capabilities from the calling thread, which is always allowed.
func lessen(each func(*unix.CapUserData)) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData // of 32 capabilities each
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return err
	}
	for i := range sets {
		each(&sets[i])
	}
	return unix.Capset(&header, &sets[0])
}

// environment is what the user's programs expect of theirs.
func (u *User) environment() []string {
	env := []string{"HOME=" + u.Home}
	if u.Name != "" {
		env = append(env, "USER="+u.Name, "LOGNAME="+u.Name)
	}
	return env
}
