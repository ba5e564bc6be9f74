package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"cpulb/daemon/task"
)

// mapRun names one run of map: the first half of the ids of all its tasks. The second half
// has the number of the task's line, how often that was begun anew, and a few bytes of a hash
// of the task. So a run that is resumed gives its tasks the ids that they had, by which the
// daemon knows those that it has already, and notices an input that has been changed.
type mapRun [8]byte

// mapLabel is the label that the tasks of a run have.
const mapLabel = "cpulb.map"

// The bounds of what fits into an id.
const (
	maxMapLine  = 1<<32 - 1
	maxMapTries = 1<<6 - 1
)

// The version and the variant of a UUID whose bits are its maker's own: RFC 9562, section 5.8.
const (
	uuidVersion8 = 0x80
	uuidVariant  = 0x80
)

func newMapRun() mapRun {
	var r mapRun
	_, _ = rand.Read(r[:]) // never fails
	r[6] = r[6]&0x0f | uuidVersion8
	return r
}

func (r mapRun) String() string { return hex.EncodeToString(r[:]) }

// id returns the id of the task of a line at its try, from 0.
func (r mapRun) id(line, try int, check [3]byte) task.ID {
	id := task.ID(append(r[:], make([]byte, 8)...))
	id[8] = uuidVariant | byte(try)
	binary.BigEndian.PutUint32(id[9:], uint32(line))
	copy(id[13:], check[:])
	return id
}

// mapRunOf returns the run, the line, and the try of the task with this id; false: it is of
// no run.
func mapRunOf(id task.ID) (r mapRun, line, try int, ok bool) {
	copy(r[:], id[:])
	ok = id[6]&0xf0 == uuidVersion8 && id[8]&0xc0 == uuidVariant
	return r, int(binary.BigEndian.Uint32(id[9:])), int(id[8] & maxMapTries), ok
}

// checkOf returns the check of a task, or of a line that is none.
func checkOf(text []byte) (check [3]byte) {
	sum := sha256.Sum256(text)
	copy(check[:], sum[:])
	return check
}
