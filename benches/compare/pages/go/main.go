// Command comparepages runs one workload on the Go bbolt and prints what ../src/work.rs prints for the others.
// It repeats that file's arithmetic: the same keys, values, orders and sums. It is started by the comparison only.
package main

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"os"
	"strconv"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
)

const (
	batchSize       = 1000
	rangeLength     = 100
	durableCommits  = 500
	bigFreeCommits  = 2000
	bigFreeValue    = 8200
	goldenIncrement = 0x9e3779b97f4a7c15
)

var bucketName = []byte("kv")

func mix(x uint64) uint64 {
	z := x + goldenIncrement
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

type work struct {
	keys  uint64
	value int
	shape string
}

const prefixHead = "tenant-00/object/by-name/"

func (w *work) key(id uint64, room []byte) []byte {
	random := mix(id)
	switch w.shape {
	case "random", "halved":
		binary.LittleEndian.PutUint64(room, random)
		binary.LittleEndian.PutUint64(room[8:], mix(random))
		return room[:16]
	case "prefix":
		copy(room, prefixHead)
		room[7] = '0' + byte(random%4)
		room[8] = '0' + byte(random/4%10)
		for at := 0; at < 16; at++ {
			room[len(prefixHead)+at] = "0123456789abcdef"[random>>(60-4*at)&15]
		}
		return room[:len(prefixHead)+16]
	case "sizes":
		length := 8 + int(mix(^id)%193)
		word := random
		for at := 0; at < length; at += 8 {
			binary.LittleEndian.PutUint64(room[at:], word)
			word = mix(word)
		}
		return room[:length]
	case "sequence":
		binary.BigEndian.PutUint64(room, id)
		return room[:8]
	}
	panic("shape " + w.shape)
}

// values are kept by reference until the commit, so each gets bytes of its own.
func (w *work) val(id, version uint64) []byte {
	v := make([]byte, w.value)
	for i := 8; i < len(v); i++ {
		v[i] = 'v'
	}
	binary.LittleEndian.PutUint64(v, mix(id^version<<48))
	return v
}

type sum struct{ count, sum uint64 }

func word(b []byte) uint64 {
	var first uint64
	if len(b) >= 8 {
		first = binary.LittleEndian.Uint64(b)
	}
	return first ^ uint64(len(b))<<56
}

func (s *sum) value(v []byte) { s.count++; s.sum += word(v) }

func (s *sum) entry(k, v []byte) { s.value(v); s.sum += bits.RotateLeft64(word(k), 1) }

func (s *sum) add(o sum) { s.count += o.count; s.sum += o.sum }

func must(err error) {
	if err != nil {
		panic(err)
	}
}

type engine struct{ db *bolt.DB }

type ids func(i uint64) uint64

func (e engine) put(w *work, n uint64, id ids, version uint64, batch uint64) {
	room := make([]byte, 256)
	for at := uint64(0); at < n; {
		must(e.db.Update(func(tx *bolt.Tx) error {
			b := tx.Bucket(bucketName)
			for end := min(n, at+batch); at < end; at++ {
				i := id(at)
				if err := b.Put(w.key(i, room), w.val(i, version)); err != nil {
					return err
				}
			}
			return nil
		}))
	}
}

func (e engine) del(w *work, n uint64, id ids, batch uint64) {
	room := make([]byte, 256)
	for at := uint64(0); at < n; {
		must(e.db.Update(func(tx *bolt.Tx) error {
			b := tx.Bucket(bucketName)
			for end := min(n, at+batch); at < end; at++ {
				if err := b.Delete(w.key(id(at), room)); err != nil {
					return err
				}
			}
			return nil
		}))
	}
}

func (e engine) get(w *work, n uint64, id ids) (s sum) {
	room := make([]byte, 256)
	must(e.db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketName)
		for at := uint64(0); at < n; at++ {
			if v := b.Get(w.key(id(at), room)); v != nil {
				s.value(v)
			}
		}
		return nil
	}))
	return
}

func (e engine) getEach(w *work, n uint64, id ids) (s sum) {
	room := make([]byte, 256)
	for at := uint64(0); at < n; at++ {
		must(e.db.View(func(tx *bolt.Tx) error {
			if v := tx.Bucket(bucketName).Get(w.key(id(at), room)); v != nil {
				s.value(v)
			}
			return nil
		}))
	}
	return
}

func (e engine) scan(rounds int) (s sum) {
	must(e.db.View(func(tx *bolt.Tx) error {
		for ; rounds > 0; rounds-- {
			c := tx.Bucket(bucketName).Cursor()
			for k, v := c.First(); k != nil; k, v = c.Next() {
				s.entry(k, v)
			}
		}
		return nil
	}))
	return
}

func (e engine) ranges(w *work, n uint64, id ids) (s sum) {
	room := make([]byte, 256)
	must(e.db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketName).Cursor()
		for at := uint64(0); at < n; at++ {
			k, v := c.Seek(w.key(id(at), room))
			for left := rangeLength; k != nil && left > 0; left-- {
				s.entry(k, v)
				k, v = c.Next()
			}
		}
		return nil
	}))
	return
}

func main() {
	if len(os.Args) != 7 {
		fmt.Fprintln(os.Stderr, "comparepages PATH WORKLOAD KEYS SHAPE VALUE-BYTES synced|unsynced")
		os.Exit(64)
	}
	n, err := strconv.ParseUint(os.Args[3], 10, 64)
	must(err)
	value, err := strconv.Atoi(os.Args[5])
	must(err)
	w := &work{n, value, os.Args[4]}
	name := os.Args[2]
	db, err := bolt.Open(os.Args[1], 0o600, &bolt.Options{
		Timeout:        time.Second,
		PageSize:       4096,
		NoSync:         name != "durable" && name != "durable-new",
		NoGrowSync:     name != "durable" && name != "durable-new",
		NoFreelistSync: os.Args[6] == "unsynced",
		// As much map as the others reserve: a growing writer must not wait for the pinned reader.
		InitialMmapSize: 4 << 30,
	})
	must(err)
	must(db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucketName)
		return err
	}))
	e := engine{db}
	took, operations, s := run(e, w, name)
	fmt.Printf("ns=%d operations=%d count=%d sum=%016x\n", took.Nanoseconds(), operations, s.count, s.sum)
	must(db.Close())
}

func run(e engine, w *work, name string) (took time.Duration, operations uint64, s sum) {
	n := w.keys
	random := func(seed uint64) ids { return func(i uint64) uint64 { return mix(seed<<40^i) % n } }
	inOrder := func(i uint64) uint64 { return i }
	switch name {
	case "load", "churn", "pinned", "bigfree", "durable", "durable-new":
	default:
		e.scan(1)
		e.get(w, n/10, random(99))
	}
	timed := func(ops uint64, f func()) {
		start := time.Now()
		f()
		took, operations = time.Since(start), ops
	}
	switch name {
	case "load":
		timed(n, func() { e.put(w, n, inOrder, 0, batchSize) })
		if w.shape == "halved" {
			behind := func(i uint64) uint64 { return 2*n + i }
			e.put(w, n, behind, 0, batchSize)
			e.del(w, n, behind, batchSize)
		}
		s = e.scan(1)
	case "get", "many":
		timed(2*n, func() { s = e.get(w, 2*n, random(1)) })
	case "get2":
		timed(4*n, func() {
			var halves [2]sum
			var wait sync.WaitGroup
			for i := range halves {
				wait.Add(1)
				go func() { defer wait.Done(); halves[i] = e.get(w, 2*n, random(uint64(i)+1)) }()
			}
			wait.Wait()
			s.add(halves[0])
			s.add(halves[1])
		})
	case "missing":
		timed(2*n, func() { s = e.get(w, 2*n, func(i uint64) uint64 { return mix(3<<40^i) % (2 * n) }) })
	case "gettx":
		timed(2*n, func() { s = e.getEach(w, 2*n, random(1)) })
	case "begin":
		timed(n, func() {
			for i := uint64(0); i < n; i++ {
				tx, err := e.db.Begin(false)
				must(err)
				must(tx.Rollback())
			}
		})
	case "scan":
		timed(5*n, func() { s = e.scan(5) })
	case "range":
		timed(0, func() { s = e.ranges(w, n/20, random(4)) })
		operations = s.count
	case "churn":
		even := func(i uint64) uint64 { return 2 * i }
		timed(2*(n/2), func() {
			e.del(w, n/2, even, batchSize)
			e.put(w, n/2, even, 1, batchSize)
		})
		s = e.scan(1)
	case "pinned":
		var seen sum
		timed(n/5, func() {
			tx, err := e.db.Begin(false)
			must(err)
			e.put(w, n/5, random(5), 2, batchSize)
			seen.value(tx.Bucket(bucketName).Get(w.key(0, make([]byte, 256))))
			must(tx.Rollback())
		})
		s = e.scan(1)
		s.add(seen)
	case "bigfree":
		big := &work{n, bigFreeValue, w.shape}
		e.put(big, n/20, inOrder, 0, batchSize)
		e.del(big, n/20, inOrder, batchSize)
		e.put(w, 2, inOrder, 0, 1)
		timed(bigFreeCommits, func() { e.put(w, bigFreeCommits, random(6), 3, 1) })
		s = e.scan(1)
	case "durable", "durable-new":
		commits := min(max(n/100, 10), durableCommits)
		timed(commits, func() { e.put(w, commits, random(7), 4, 1) })
		s = e.scan(1)
	default:
		panic("workload " + name)
	}
	return
}
