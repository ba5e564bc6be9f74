package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"cpulb/daemon/api"
	"cpulb/daemon/task"

	"golang.org/x/sys/unix"
)

// mend replaces a file that has, as the results of lines, refusals that pass: earlier versions
// wrote these. Its other results are copied to a file beside it, those lines are run again in
// their places, and then the new file takes the place of the old one. Until then nothing has
// changed, and the old one can be resumed again: a reader sees the one or the other.
type mend struct {
	next *os.File
	path string // of the old one
	last int    // the line of its last result
}

// mendSuffix is that of the name of the new file while it is written.
const mendSuffix = ".mending"

// passes reports whether r is a refusal that passes, and no result of a line.
func (r *mapRecord) passes() bool {
	return r.Status == statusRefused && r.Error != nil && api.IsTemporary(&api.Problem{Code: r.Error.Code})
}

// beginMend has what follows be written to a new file. The old one, which is locked, has whole
// bytes.
func (o *mapOutput) beginMend(whole int64) error {
	path, err := filepath.EvalSymlinks(o.file.Name())
	if err != nil {
		return err
	}
	info, err := o.file.Stat()
	if err != nil {
		return err
	}
	if err := os.Remove(path + mendSuffix); err != nil && !errors.Is(err, os.ErrNotExist) { // of a run that was killed
		return err
	}
	next, err := os.OpenFile(path+mendSuffix, os.O_RDWR|os.O_CREATE|os.O_EXCL, info.Mode().Perm())
	if err != nil {
		return fmt.Errorf("%d of its results are refusals that pass; to run those lines again takes a file beside it: %w", len(o.passed), err)
	}
	_, last, _, _ := mapRunOf(o.known[len(o.known)-1])
	o.old = bufio.NewReader(io.NewSectionReader(o.file, 0, whole))
	o.mend = &mend{next: next, path: path, last: last}
	o.out = next
	return errors.Join(next.Chmod(info.Mode().Perm()), unix.Flock(int(next.Fd()), unix.LOCK_EX|unix.LOCK_NB))
}

// kept returns the text of the next result of the file, which has this id, if it is to be
// written once more; again: the line is to be run again.
func (o *mapOutput) kept(id task.ID) (text []byte, again bool, err error) {
	if o.old == nil {
		return nil, false, nil
	}
	text, err = o.old.ReadBytes('\n')
	_, again = o.passed[id]
	return text, again, err
}

// endMend puts the new file in the place of the old one, which stays open: its lock keeps away
// who has opened it just before.
func (o *mapOutput) endMend() error {
	m := o.mend
	if err := errors.Join(m.next.Sync(), os.Rename(m.path+mendSuffix, m.path)); err != nil {
		return err
	}
	o.replaced, o.file, o.mend = o.file, m.next, nil
	return nil
}

// abandonMend leaves the old file as it is.
func (o *mapOutput) abandonMend() error {
	if o.mend == nil {
		return nil
	}
	m := o.mend
	o.mend = nil
	return errors.Join(m.next.Close(), os.Remove(m.path+mendSuffix))
}
