// Command journal compares two embedded stores at what the daemon's journal asks
// of one: many submitters, each of whom waits for the commit of a task, then for
// that of its result, after which both are deleted. It is a module of its own, so
// that the store that is not used is no dependency of the product.
package main

import (
	"encoding/binary"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble"
	"go.etcd.io/bbolt"
)

// op puts a value, or deletes a key if it has none.
type op struct{ key, value []byte }

// store is what is compared. commit returns once ops are on disk; a lazy one need
// only be there with the next.
type store interface {
	commit(lazy bool, ops ...op) error
	count() (int, error)
	close() error
}

func main() {
	submitters := flag.Int("submitters", 32, "how many wait at a time")
	tasks := flag.Int("tasks", 100_000, "how many tasks in all")
	size := flag.Int("size", 300, "`bytes` of a task, and of a result")
	dir := flag.String("dir", ".", "`folder` on the disk to measure")
	flag.Parse()
	for turn := range 3 {
		for _, name := range []string{"bbolt", "pebble"} {
			if err := measure(name, *dir, *submitters, *tasks, *size); err != nil {
				log.Fatalf("turn %d, %s: %v", turn, name, err)
			}
		}
	}
}

func open(name, dir string) (store, error) {
	if name == "bbolt" {
		return openBolt(filepath.Join(dir, "journal.db"))
	}
	db, err := pebble.Open(dir, &pebble.Options{Logger: quiet{}})
	return &pebbles{db}, err
}

func measure(name, dir string, submitters, tasks, size int) error {
	folder, err := os.MkdirTemp(dir, "bench-journal")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	s, err := open(name, folder)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := cycle(s, submitters, tasks, size); err != nil {
		return err
	}
	rate := float64(tasks) / time.Since(began).Seconds()
	bytes := sizeOf(folder)
	for first := 0; first < tasks; first += 1000 { // what waits at a restart
		var ops []op
		for i := range 1000 {
			ops = append(ops, op{key(uint64(1<<40 + first + i)), make([]byte, size)})
		}
		if err := s.commit(false, ops...); err != nil {
			return err
		}
	}
	if err := s.close(); err != nil {
		return err
	}
	began = time.Now()
	if s, err = open(name, folder); err != nil {
		return err
	}
	n, err := s.count()
	if err != nil {
		return err
	}
	fmt.Printf("%-7s %d submitters: %6.0f tasks/s, %5.1f MB on disk after; open and read %d records: %s\n",
		name, submitters, rate, float64(bytes)/1e6, n, time.Since(began).Round(time.Millisecond))
	return s.close()
}

// cycle takes tasks through the life that they have in the journal.
func cycle(s store, submitters, tasks, size int) error {
	var next atomic.Uint64
	var all sync.WaitGroup
	failed := make(chan error, submitters)
	for range submitters {
		all.Go(func() {
			value := make([]byte, size)
			for n := next.Add(1); n <= uint64(tasks); n = next.Add(1) {
				task, result := key(2*n), key(2*n+1)
				err := s.commit(false, op{task, value})
				if err == nil {
					err = s.commit(false, op{result, value})
				}
				if err == nil {
					err = s.commit(true, op{key: task}, op{key: result})
				}
				if err != nil {
					failed <- err
					return
				}
			}
		})
	}
	all.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

func key(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func sizeOf(dir string) (n int64) {
	_ = filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			n += info.Size()
		}
		return nil
	})
	return n
}

// pebbles is a log-structured store that joins commits by itself.
type pebbles struct{ db *pebble.DB }

func (p *pebbles) commit(lazy bool, ops ...op) error {
	b := p.db.NewBatch()
	for _, o := range ops {
		if o.value == nil {
			_ = b.Delete(o.key, nil)
		} else {
			_ = b.Set(o.key, o.value, nil)
		}
	}
	return b.Commit(&pebble.WriteOptions{Sync: !lazy})
}

func (p *pebbles) count() (int, error) {
	it, err := p.db.NewIter(nil)
	if err != nil {
		return 0, err
	}
	n := 0
	for it.First(); it.Valid(); it.Next() {
		n += min(len(it.Value()), 1)
	}
	return n, it.Close()
}

func (p *pebbles) close() error { return p.db.Close() }

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	log.Fatalf(format, args...)
}

// bolts has one goroutine that commits all that has come meanwhile, as the journal.
type bolts struct {
	db   *bbolt.DB
	wake chan struct{}
	done chan struct{}

	mu      sync.Mutex
	waiting []*waiter
	closing bool
}

type waiter struct {
	ops  []op
	lazy bool
	err  chan error
}

func openBolt(path string) (store, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType, NoFreelistSync: true})
	if err != nil {
		return nil, err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists([]byte("all"))
		return err
	})
	b := &bolts{db: db, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go b.work()
	return b, err
}

func (b *bolts) commit(lazy bool, ops ...op) error {
	w := &waiter{ops, lazy, make(chan error, 1)}
	b.mu.Lock()
	b.waiting = append(b.waiting, w)
	b.mu.Unlock()
	b.signal()
	if lazy {
		return nil
	}
	return <-w.err
}

func (b *bolts) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *bolts) work() {
	defer close(b.done)
	for range b.wake {
		b.mu.Lock()
		all, closing := b.waiting, b.closing
		b.waiting = nil
		b.mu.Unlock()
		err := b.db.Update(func(tx *bbolt.Tx) error {
			bucket := tx.Bucket([]byte("all"))
			bucket.FillPercent = 0.95
			for _, w := range all {
				for _, o := range w.ops {
					if o.value == nil {
						_ = bucket.Delete(o.key)
					} else if err := bucket.Put(o.key, o.value); err != nil {
						return err
					}
				}
			}
			return nil
		})
		for _, w := range all {
			w.err <- err
		}
		if closing {
			return
		}
	}
}

func (b *bolts) count() (n int, err error) {
	err = b.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("all")).ForEach(func(_, v []byte) error {
			n += min(len(v), 1)
			return nil
		})
	})
	return n, err
}

func (b *bolts) close() error {
	b.mu.Lock()
	b.closing = true
	b.mu.Unlock()
	b.signal()
	<-b.done
	return b.db.Close()
}
