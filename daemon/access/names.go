package access

import (
	"errors"
	"fmt"
	"math"
	"os/user"
	"strconv"
)

// ErrUnknownName is returned by Resolve for who does not exist.
var ErrUnknownName = errors.New("no such user or group")

// Lookup finds the numbers of names, as os/user does.
type Lookup struct {
	User, Group func(name string) (uint32, error)
}

// Resolve makes a Who of names, or of numbers for who has no name. All must
// exist: a rule for a misspelt user would silently let nobody, or everybody, in.
func (l Lookup) Resolve(users, groups []string) (Who, error) {
	var w Who
	var err error
	if w.Users, err = resolve("user", users, l.User); err != nil {
		return Who{}, err
	}
	if w.Groups, err = resolve("group", groups, l.Group); err != nil {
		return Who{}, err
	}
	return w, nil
}

func resolve(kind string, names []string, find func(string) (uint32, error)) ([]uint32, error) {
	var all []uint32
	for _, name := range names {
		id, err := number(name, find)
		if err != nil {
			return nil, fmt.Errorf("%w: %s %.64q; names or numbers are allowed", err, kind, name)
		}
		all = append(all, id)
	}
	return all, nil
}

func number(name string, find func(string) (uint32, error)) (uint32, error) {
	n, err := strconv.ParseUint(name, 10, 32)
	if err != nil {
		id, err := find(name)
		if err != nil {
			return 0, fmt.Errorf("%w (%w)", ErrUnknownName, err)
		}
		return id, nil
	}
	if n == math.MaxUint32 { // -1, which to the kernel means nobody at all
		return 0, ErrUnknownName
	}
	return uint32(n), nil
}

// System looks names up in the system's databases.
func System() Lookup { return Lookup{User: userID, Group: GroupID} }

func userID(name string) (uint32, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, err
	}
	id, err := strconv.ParseUint(u.Uid, 10, 32)
	return uint32(id), err
}

// GroupID returns the number of the system's group with this name.
func GroupID(name string) (uint32, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, err
	}
	id, err := strconv.ParseUint(g.Gid, 10, 32)
	return uint32(id), err
}
