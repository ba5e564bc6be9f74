package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

func TestFoldersAndFilesAreTheOwnersAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	open(t, dir, Options{})
	for path, want := range map[string]os.FileMode{dir: os.ModeDir | 0o700, filepath.Join(dir, logFolder): os.ModeDir | 0o700,
		filepath.Join(dir, logFolder, segmentName(1)): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

func TestWhatOthersMayChangeIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(dir string) error{
		"folder":              func(dir string) error { return os.Chmod(dir, 0o770) },
		"log":                 func(dir string) error { return os.Chmod(filepath.Join(dir, logFolder), 0o702) },
		"file":                func(dir string) error { return os.Chmod(filepath.Join(dir, logFolder, segmentName(1)), 0o620) },
		"owner of the folder": func(dir string) error { return os.Chown(dir, 4711, -1) },
		"owner of the file":   func(dir string) error { return os.Chown(filepath.Join(dir, logFolder, segmentName(1)), 4711, -1) },
	} {
		dir := t.TempDir()
		closeNow(t, open(t, dir, Options{}))
		if err := spoil(dir); errors.Is(err, os.ErrPermission) {
			continue // only root may give files away
		} else if err != nil {
			t.Fatal(err)
		}
		before := files(t, dir)
		if _, err := Open(dir, Options{Log: hclog.NewNullLogger()}); !errors.Is(err, ErrUnsafe) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(files(t, dir), before) {
			t.Errorf("%s: it was changed", name)
		}
	}
}

// files is all that is in a folder.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		all[path] = string(text)
		return err
	})
	must(t, err)
	return all
}

func TestWhatIsNotAJournalOfOursIsNamedAndNotTouched(t *testing.T) {
	write := func(name, text string) func(string) {
		return func(dir string) {
			must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
			must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
		}
	}
	later := (&head{number: 1}).encode()
	later[headFormat]++
	binary.LittleEndian.PutUint32(later[headFormatCheck:], crc32.Checksum(later[:headFormatCheck], castagnoli))
	for name, x := range map[string]struct {
		make func(dir string)
		want error
	}{
		"a text":                {write(boltName, strings.Repeat("dear diary ", 10_000)), ErrForeign},
		"another database":      {database(t, "other", "x", "y"), ErrForeign},
		"a later database":      {database(t, bucketAbout, keyFormat, "3"), ErrNewer},
		"no format":             {database(t, bucketAbout, keyFormat, "blue"), ErrForeign},
		"a short database":      {shortDatabase(t, 16<<10), ErrCorrupt},
		"a database's start":    {shortDatabase(t, 9000), ErrCorrupt},
		"a database's head":     {shortDatabase(t, 100), ErrCorrupt},
		"a text as a log":       {write(logFolder, "dear diary"), ErrForeign},
		"a text as a segment":   {write(filepath.Join(logFolder, segmentName(1)), strings.Repeat("dear diary ", 100)), ErrForeign},
		"a log of later format": {write(filepath.Join(logFolder, segmentName(1)), string(later)), ErrNewer},
	} {
		dir := t.TempDir()
		x.make(dir)
		before := files(t, dir)
		if _, err := Open(dir, Options{Log: hclog.NewNullLogger()}); !errors.Is(err, x.want) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(files(t, dir), before) {
			t.Errorf("%s: it was changed", name)
		}
	}
}

// database makes a database of an earlier version's with one key.
func database(t *testing.T, bucket, key, value string) func(dir string) {
	return func(dir string) {
		db, err := bbolt.Open(filepath.Join(dir, boltName), 0o600, nil)
		must(t, err)
		must(t, errors.Join(db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucket([]byte(bucket))
			if err != nil {
				return err
			}
			return b.Put([]byte(key), []byte(value))
		}), db.Close()))
	}
}

func shortDatabase(t *testing.T, bytes int64) func(dir string) {
	return func(dir string) {
		path := filepath.Join(dir, boltName)
		unpack(t, "testdata/format1.db.gz", path)
		must(t, os.Truncate(path, bytes))
	}
}

// A daemon that died, or had no room, when it first made a journal has left something
// that nobody can miss.
func TestAJournalThatWasNotFinishedIsMadeAnew(t *testing.T) {
	segment := filepath.Join(logFolder, segmentName(1))
	for name, parts := range map[string][]struct{ name, text string }{
		"an empty database":  {{boltName, ""}},
		"zeros":              {{boltName, strings.Repeat("\x00", 16<<10)}},
		"an empty segment":   {{segment, ""}},
		"a part of a head":   {{segment, string((&head{number: 1}).encode()[:50])}},
		"a segment of zeros": {{segment, strings.Repeat("\x00", 4<<10)}},
		"a takeover":         {{filepath.Join(takingOver, segmentName(1)), "half"}},
	} {
		dir := t.TempDir()
		for _, p := range parts {
			must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, p.name)), 0o700))
			must(t, os.WriteFile(filepath.Join(dir, p.name), []byte(p.text), 0o600))
		}
		j, err := Open(dir, Options{Log: hclog.NewNullLogger()})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		a := newTask(1, "")
		must(t, j.commitNow(Op{Accepted: &a}))
		closeNow(t, j)
		j = open(t, dir, Options{})
		if found := all(t, j); len(found) != 1 {
			t.Errorf("%s: %d tasks", name, len(found))
		}
		closeNow(t, j)
	}
}

// Wherever a takeover is interrupted, nothing is lost and the next start finishes it.
func TestATakeoverThatWasInterruptedIsFinished(t *testing.T) {
	made := func(t *testing.T, dir string) {
		unpack(t, "testdata/format1.db.gz", filepath.Join(dir, boltName))
		db, err := openBolt(filepath.Join(dir, boltName))
		must(t, err)
		must(t, errors.Join(copyBolt(db, filepath.Join(dir, takingOver), Options{}), db.Close()))
	}
	for name, prepare := range map[string]func(t *testing.T, dir string){
		"while the log was made": func(t *testing.T, dir string) {
			made(t, dir)
			must(t, os.Truncate(filepath.Join(dir, takingOver, segmentName(1)), 150))
		},
		"before the database was moved": made,
		"before the log got its name": func(t *testing.T, dir string) {
			made(t, dir)
			must(t, os.Rename(filepath.Join(dir, boltName), filepath.Join(dir, takingOver, boltName)))
		},
		"before the database was removed": func(t *testing.T, dir string) {
			made(t, dir)
			must(t, os.Rename(filepath.Join(dir, boltName), filepath.Join(dir, takingOver, boltName)))
			must(t, os.Rename(filepath.Join(dir, takingOver), filepath.Join(dir, logFolder)))
		},
	} {
		dir := t.TempDir()
		prepare(t, dir)
		for start := range uint64(2) {
			j := open(t, dir, Options{})
			if found := all(t, j); len(found) != 2 || j.Start() != start+2 || len(j.Schedules()) != 1 {
				t.Errorf("interrupted %s: %d tasks, start %d", name, len(found), j.Start())
			}
			closeNow(t, j)
		}
		for path := range files(t, dir) {
			if filepath.Base(path) == boltName {
				t.Errorf("interrupted %s: %s is still there", name, path)
			}
		}
	}
}

// An earlier version that was started in between has made a database of its own.
func TestADatabaseBesideALogIsRefused(t *testing.T) {
	dir := t.TempDir()
	closeNow(t, open(t, dir, Options{}))
	unpack(t, "testdata/format1.db.gz", filepath.Join(dir, boltName))
	if _, err := Open(dir, Options{Log: hclog.NewNullLogger()}); !errors.Is(err, ErrForeign) {
		t.Error(err)
	}
}

// A journal that was moved or removed under a running daemon is noticed, and made again
// with all that it had.
func TestAJournalThatIsMovedAwayIsWrittenAnew(t *testing.T) {
	for name, move := range map[string]func(dir string) error{
		"file removed": func(dir string) error { return os.Remove(filepath.Join(dir, logFolder, segmentName(1))) },
		"file renamed": func(dir string) error {
			return os.Rename(filepath.Join(dir, logFolder, segmentName(1)), filepath.Join(dir, "x"))
		},
		"log renamed": func(dir string) error { return os.Rename(filepath.Join(dir, logFolder), filepath.Join(dir, "x")) },
		"folder gone": func(dir string) error { // at once: it may be made again meanwhile
			return errors.Join(os.Rename(dir, dir+" that was"), os.RemoveAll(dir+" that was"))
		},
		"file replaced": func(dir string) error {
			return os.Rename(filepath.Join(dir, logFolder, reserveName), filepath.Join(dir, logFolder, segmentName(1)))
		},
	} {
		dir := filepath.Join(t.TempDir(), "journal")
		j := open(t, dir, Options{})
		var some []Accepted
		for i := range 10 {
			some = append(some, newTask(i, ""))
			must(t, j.commitNow(Op{Accepted: &some[i]}))
		}
		must(t, move(dir))
		last := newTask(10, "")
		must(t, j.commitNow(Op{Accepted: &last}))
		if _, err := os.Lstat(filepath.Join(dir, logFolder, reserveName)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		closeNow(t, j)
		j = open(t, dir, Options{})
		if found := all(t, j); len(found) != 11 {
			t.Errorf("%s: %d tasks", name, len(found))
		}
		closeNow(t, j)
	}
}

// So is a segment that is no longer written to, when the next one is begun or the journal
// is closed; and what has to be written anew may be more than one segment takes.
func TestOldSegmentsThatAreMovedAwayAreWrittenAnew(t *testing.T) {
	const tasks = 40
	small := Options{segmentBytes: 2 << 10}
	for name, move := range map[string]func(dir string) error{
		"old segment": func(dir string) error { return os.Remove(filepath.Join(dir, logFolder, segmentName(1))) },
		"all of them": func(dir string) error { return os.Rename(filepath.Join(dir, logFolder), filepath.Join(dir, "x")) },
	} {
		for _, more := range []int{0, 40} { // tasks that are accepted after that
			dir := filepath.Join(t.TempDir(), "journal")
			j := open(t, dir, small)
			for i := range tasks {
				must(t, j.commitNow(Op{Accepted: new(newTask(i, ""))}))
			}
			must(t, move(dir))
			for i := range more {
				must(t, j.commitNow(Op{Accepted: new(newTask(tasks+i, ""))}))
			}
			closeNow(t, j)
			j = open(t, dir, small)
			if found := all(t, j); len(found) != tasks+more {
				t.Errorf("%s: %d tasks, not %d", name, len(found), tasks+more)
			}
			closeNow(t, j)
		}
	}
}

// Whatever the journal is just about to copy or to remove.
func TestAJournalThatIsMovedAwayAgainAndAgainGoesOn(t *testing.T) {
	dir := t.TempDir()
	small := Options{segmentBytes: 2 << 10}
	j := open(t, dir, small)
	var kept []Accepted
	for i := range 400 {
		a := newTask(i, "")
		must(t, j.commitNow(Op{Accepted: &a}))
		if kept = append(kept, a); len(kept) > 20 {
			j.Append(Whenever, nil, Op{Submitted: kept[0].Submitted, Forget: true})
			kept = kept[1:]
		}
		if i%7 == 0 {
			must(t, os.Rename(filepath.Join(dir, logFolder), filepath.Join(dir, fmt.Sprint("moved", i))))
		}
	}
	closeNow(t, j)
	j = open(t, dir, small)
	if found := all(t, j); len(found) != len(kept) {
		t.Errorf("%d tasks, not %d", len(found), len(kept))
	}
	closeNow(t, j)
}

// Another daemon that was started when the folder was gone has a journal in its place.
func TestTheJournalOfAnotherIsLeftAloneWhenOnesOwnIsMissed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	j := open(t, dir, Options{retryAfter: time.Millisecond})
	before := newTask(1, "")
	must(t, j.commitNow(Op{Accepted: &before}))
	elsewhere := filepath.Join(t.TempDir(), "journal")
	other := open(t, elsewhere, Options{})
	theirs := newTask(2, "")
	must(t, other.commitNow(Op{Accepted: &theirs}))
	closeNow(t, other)
	// At once, or j may make its own anew in between.
	must(t, unix.Renameat2(unix.AT_FDCWD, dir, unix.AT_FDCWD, elsewhere, unix.RENAME_EXCHANGE))
	for range 3 {
		ours := newTask(3, "")
		if err := j.commitNow(Op{Accepted: &ours}); !errors.Is(err, ErrFull) {
			t.Errorf("a task while the journal of another is there: %v", err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = j.Close(ctx)
	j = open(t, dir, Options{})
	if found := all(t, j); len(found) != 1 || found[0].Task.ID != theirs.Task.ID {
		t.Errorf("of the other journal there are %d tasks", len(found))
	}
	closeNow(t, j)
}

// Nothing is acknowledged that can't be read again.
func TestASegmentThatIsCutShortIsNoticed(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, Options{retryAfter: time.Millisecond})
	first, second := newTask(1, ""), newTask(2, "")
	must(t, j.commitNow(Op{Accepted: &first}))
	must(t, os.Truncate(filepath.Join(dir, logFolder, segmentName(1)), headBytes))
	if err := j.commitNow(Op{Accepted: &second}); !errors.Is(err, ErrFull) || !errors.Is(err, ErrCorrupt) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = j.Close(ctx)
}

// What stands in a segment's place is not waited for, nor taken for one that was torn off.
func TestASegmentThatIsNotAFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, Options{})
	a := newTask(1, "")
	must(t, j.commitNow(Op{Accepted: &a}))
	closeNow(t, j)
	path := filepath.Join(dir, logFolder, segmentName(1))
	must(t, os.Remove(path))
	must(t, unix.Mkfifo(path, 0o600))
	if _, err := Open(dir, Options{Log: hclog.NewNullLogger()}); !errors.Is(err, ErrForeign) {
		t.Error(err)
	}
}

func TestTheReserveIsAFileOfTheJournals(t *testing.T) {
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	for name, put := range map[string]func(path string) error{
		"a pipe":   func(path string) error { return unix.Mkfifo(path, 0o600) },
		"a link":   func(path string) error { return os.Symlink(elsewhere, path) },
		"a folder": func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		dir := t.TempDir()
		closeNow(t, open(t, dir, Options{}))
		path := filepath.Join(dir, logFolder, reserveName)
		must(t, os.Remove(path))
		must(t, put(path))
		j := open(t, dir, Options{})
		if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() || j.Failing() != nil {
			t.Errorf("%s in its place: %v, %v", name, err, j.Failing())
		}
		closeNow(t, j)
	}
	if _, err := os.Lstat(elsewhere); err == nil {
		t.Error("it was made elsewhere")
	}
}
