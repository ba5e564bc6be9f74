package access_test

import (
	"errors"
	"strings"
	"testing"

	"cpulb/daemon/access"

	"pgregory.net/rapid"
)

const daemonUID = 990

var (
	root   = access.Identity{}
	daemon = access.Identity{UID: daemonUID, GID: daemonUID}
	alice  = access.Identity{UID: 1001, GID: 1001, Groups: []uint32{50, 51}}
	bob    = access.Identity{UID: 1002, GID: 60}
	olga   = access.Identity{UID: 1003, GID: 1003, Groups: []uint32{90}} // an operator
)

// strict has a rule of every kind.
var strict = access.Rules{
	Submit:     access.Who{Users: []uint32{1002}, Groups: []uint32{51}},
	Administer: access.Who{Groups: []uint32{90}},
	DaemonUID:  daemonUID,
	ScriptDirs: []string{"/srv/scripts", "/opt/jobs/"},
	Pools:      map[string]access.Who{"gpu": {Users: []uint32{1001}}, "batch": {Groups: []uint32{60}}, "open": {}},
}

func submit(pool, script string) access.Request {
	return access.Request{Action: access.Submit, Pool: pool, ScriptPath: script}
}

func TestWhoMayDoWhat(t *testing.T) {
	open := access.Rules{DaemonUID: daemonUID}
	private := access.Rules{DaemonUID: daemonUID, Private: true}
	source := access.Rules{Source: true, ScriptDirs: []string{"/srv"}}
	administer := access.Request{Action: access.Administer}
	see := func(owner uint32) access.Request { return access.Request{Action: access.See, Owner: owner} }
	stop := func(owner uint32) access.Request { return access.Request{Action: access.Stop, Owner: owner} }
	const script = "/srv/scripts/a.py"
	for _, c := range []struct {
		name  string
		rules access.Rules
		id    access.Identity
		q     access.Request
		err   error
		field string
	}{
		{"anyone observes", strict, bob, access.Request{Action: access.Observe}, nil, ""},

		{"without rules anyone submits anything", open, bob, submit("any", "/tmp/x.py"), nil, ""},
		{"but not a source", open, bob, access.Request{Action: access.Submit, Source: true}, access.ErrDenied, "source"},
		{"not even root", open, root, access.Request{Action: access.Submit, Source: true}, access.ErrDenied, "source"},
		{"unless it is allowed, wherever scripts are", source, bob, access.Request{Action: access.Submit, Source: true}, nil, ""},

		{"by user", strict, bob, submit("open", script), nil, ""},
		{"by supplementary group", strict, alice, submit("open", script), nil, ""},
		{"an administrator need not be named to submit", strict, olga, submit("gpu", script), nil, ""},
		{"nor root", strict, root, submit("gpu", script), nil, ""},
		{"nobody else, though it is the daemon's uid", strict, daemon, submit("open", script), access.ErrDenied, ""},

		{"pool by user", strict, alice, submit("gpu", script), nil, ""},
		{"pool of others", strict, bob, submit("gpu", script), access.ErrDenied, "pool"},
		{"pool by primary group", strict, bob, submit("batch", script), nil, ""},
		{"pool of another group", strict, alice, submit("batch", script), access.ErrDenied, "pool"},
		{"a pool without rules", strict, alice, submit("unheard of", script), nil, ""},

		{"beneath the second folder", strict, bob, submit("open", "/opt/jobs/x/y.py"), nil, ""},
		{"beside the folder", strict, bob, submit("open", "/srv/scripts2/a.py"), access.ErrDenied, "script_path"},
		{"out of the folder", strict, bob, submit("open", "/srv/scripts/../../etc/x.py"), access.ErrDenied, "script_path"},
		{"around and back", strict, bob, submit("open", "/srv/scripts/../scripts/a.py"), nil, ""},
		{"the folder itself", strict, bob, submit("open", "/srv/scripts"), access.ErrDenied, "script_path"},
		{"a name that begins with dots", strict, bob, submit("open", "/srv/scripts/..a.py"), nil, ""},
		{"not absolute", strict, bob, submit("open", "srv/scripts/a.py"), access.ErrDenied, "script_path"},
		{"folders bind administrators, too", strict, root, submit("open", "/tmp/a.py"), access.ErrDenied, "script_path"},

		{"its own", strict, alice, see(1001), nil, ""},
		{"its own, which it could not submit any more", strict, daemon, see(daemonUID), nil, ""},
		{"somebody else's", strict, alice, see(1002), access.ErrHidden, ""},
		{"somebody else's, to stop", strict, alice, stop(1002), access.ErrHidden, ""},
		{"its own, to stop", strict, bob, stop(1002), nil, ""},
		{"root's", strict, bob, see(0), access.ErrHidden, ""},
		{"any, by an administrator", strict, olga, stop(1002), nil, ""},
		{"any, by root", open, root, see(1002), nil, ""},

		{"root administers", open, root, administer, nil, ""},
		{"whom access names does", strict, olga, administer, nil, ""},
		{"who submits does not", strict, alice, administer, access.ErrDenied, ""},
		{"the daemon's uid does not: scripts have it", open, daemon, administer, access.ErrDenied, ""},
		{"unless the daemon is private", private, daemon, administer, nil, ""},
		{"then it sees all", private, daemon, see(1001), nil, ""},
		{"but others still do not", private, alice, administer, access.ErrDenied, ""},
	} {
		err := c.rules.Check(c.id, c.q)
		if !errors.Is(err, c.err) || (c.err == nil) != (err == nil) {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
		}
		var denied *access.Denied
		if errors.As(err, &denied) && (denied.Field != c.field || denied.Problem == "") {
			t.Errorf("%s: denied %+v, want field %q", c.name, denied, c.field)
		}
	}
}

// Whatever the rules: what somebody may do, root may, unless what runs is at
// fault; and nobody acts on a task of somebody else without administering.
func TestSystemUsersMayHaveTasksRunAsThemOnlyWhereTheyAreNamed(t *testing.T) {
	rules := &access.Rules{AsCaller: map[string]bool{"own": true, "named": true}, FirstUser: 1000,
		Pools: map[string]access.Who{"named": {Users: []uint32{0, 33}}}}
	for _, c := range []struct {
		uid  uint32
		pool string
		may  bool
	}{
		{1000, "own", true}, {70_000, "own", true},
		{0, "own", false}, {33, "own", false}, {999, "own", false}, {65534, "own", false},
		{0, "named", true}, {33, "named", true}, {34, "named", false},
		{0, "other", true}, {33, "other", true},
	} {
		err := rules.Check(access.Identity{UID: c.uid, GID: c.uid}, submit(c.pool, "/x.py"))
		if (err == nil) != c.may || err != nil && !errors.Is(err, access.ErrDenied) {
			t.Errorf("uid %d, pool %s: %v", c.uid, c.pool, err)
		}
	}
}

func TestRightsAreInOrder(t *testing.T) {
	ids := rapid.SliceOfN(rapid.Uint32Range(0, 4), 0, 3)
	rapid.Check(t, func(t *rapid.T) {
		who := func(name string) access.Who {
			return access.Who{Users: ids.Draw(t, name+" users"), Groups: ids.Draw(t, name+" groups")}
		}
		r := access.Rules{Submit: who("submit"), Administer: who("administer"), Private: rapid.Bool().Draw(t, "private"), DaemonUID: 3,
			Source: rapid.Bool().Draw(t, "source"), Pools: map[string]access.Who{"p": who("pool")}}
		id := access.Identity{UID: rapid.Uint32Range(0, 4).Draw(t, "uid"), GID: rapid.Uint32Range(0, 4).Draw(t, "gid"), Groups: ids.Draw(t, "groups")}
		q := access.Request{Action: access.Action(rapid.IntRange(0, 4).Draw(t, "action")), Owner: rapid.Uint32Range(0, 4).Draw(t, "owner"),
			Pool: "p", Source: rapid.Bool().Draw(t, "with source")}
		err := r.Check(id, q)
		if rootErr := r.Check(root, q); rootErr != nil && (err == nil || !errors.Is(rootErr, access.ErrDenied) || !q.Source) {
			t.Fatalf("root may not: %v; %+v may: %v", rootErr, id, err)
		}
		if owned := q.Action == access.See || q.Action == access.Stop; owned && (err == nil) != (q.Owner == id.UID || r.Administers(id)) {
			t.Fatalf("%+v on a task of %d: %v", id, q.Owner, err)
		}
	})
}

func TestNamesBecomeNumbers(t *testing.T) {
	known := func(names map[string]uint32) func(string) (uint32, error) {
		return func(name string) (uint32, error) {
			if id, ok := names[name]; ok {
				return id, nil
			}
			return 0, errors.New("unknown")
		}
	}
	l := access.Lookup{User: known(map[string]uint32{"alice": 1001}), Group: known(map[string]uint32{"alice": 2001})}
	w, err := l.Resolve([]string{"alice", "7"}, []string{"alice"})
	if err != nil || len(w.Users) != 2 || w.Users[0] != 1001 || w.Users[1] != 7 || len(w.Groups) != 1 || w.Groups[0] != 2001 {
		t.Errorf("%+v %v", w, err)
	}
	for _, name := range []string{"bob", "", "-1", "4294967295", "4294967296"} {
		if _, err := l.Resolve([]string{name}, nil); !errors.Is(err, access.ErrUnknownName) || !strings.Contains(err.Error(), "user \""+name) {
			t.Errorf("user %q: %v", name, err)
		}
		if _, err := l.Resolve(nil, []string{name}); !errors.Is(err, access.ErrUnknownName) || !strings.Contains(err.Error(), "group \""+name) {
			t.Errorf("group %q: %v", name, err)
		}
	}
}

func TestNamesOfTheSystemAreFound(t *testing.T) {
	who, err := access.System().Resolve([]string{"root"}, []string{"root"})
	if err != nil || who.Users[0] != 0 || who.Groups[0] != 0 {
		t.Errorf("root: %+v %v", who, err)
	}
	for _, names := range [][2][]string{{{"no such user"}, nil}, {nil, {"no such group"}}} {
		if _, err := access.System().Resolve(names[0], names[1]); !errors.Is(err, access.ErrUnknownName) {
			t.Errorf("%v: %v", names, err)
		}
	}
}
