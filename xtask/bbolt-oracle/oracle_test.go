package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
)

const fixtures = "../../crates/bbolt-pages/tests/fixtures"

func gunzip(t *testing.T, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// glob fails rather than letting a test pass over no files.
func glob(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(fixtures, pattern))
	if err != nil || len(names) == 0 {
		t.Fatalf("no files match %s (%v)", pattern, err)
	}
	return names
}

func dumpOf(t *testing.T, path string) []byte {
	t.Helper()
	db, err := openReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var b bytes.Buffer
	if err := db.View(func(tx *bolt.Tx) error { return dumpTx(&b, tx) }); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestFixturesDump(t *testing.T) {
	for _, f := range glob(t, "*.db.gz") {
		t.Run(filepath.Base(f), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.db")
			if err := os.WriteFile(path, gunzip(t, f), 0o600); err != nil {
				t.Fatal(err)
			}
			want := gunzip(t, strings.TrimSuffix(f, ".db.gz")+".dump.gz")
			if got := dumpOf(t, path); !bytes.Equal(got, want) {
				t.Errorf("dump differs: %d bytes, want %d", len(got), len(want))
			}
		})
	}
}

func TestScripts(t *testing.T) {
	for _, f := range append(glob(t, "scripts/*.txt.gz"), filepath.Join(fixtures, "scripts/basics.txt")) {
		t.Run(filepath.Base(f), func(t *testing.T) {
			read := gunzip
			base, ext := strings.TrimSuffix(f, ".txt.gz"), ".gz"
			if strings.HasSuffix(f, ".txt") {
				base, ext = strings.TrimSuffix(f, ".txt"), ""
				read = func(t *testing.T, p string) []byte {
					b, err := os.ReadFile(p)
					if err != nil {
						t.Fatal(err)
					}
					return b
				}
			}
			path := filepath.Join(t.TempDir(), "x.db")
			var out bytes.Buffer
			r := newRunner(path)
			if err := r.run(bytes.NewReader(read(t, f)), &out); err != nil || r.bad {
				t.Fatal(err, r.bad)
			}
			if want := read(t, base+".out"+ext); !bytes.Equal(out.Bytes(), want) {
				t.Errorf("results differ")
			}
			if want := gunzip(t, base+".dump.gz"); !bytes.Equal(dumpOf(t, path), want) {
				t.Errorf("final contents differ")
			}
			if err := checkFile(path); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestPattern(t *testing.T) {
	// first output of SplitMix64 from state 0, as published with the generator
	want := []byte{0xaf, 0xcd, 0x1d, 0x7b, 0x39, 0xa8, 0x20, 0xe2}
	s := splitmix(0)
	if got := s.next(); got != 0xe220a8397b1dcdaf {
		t.Fatalf("%016x", got)
	}
	if got := pattern(12, 0); !bytes.Equal(got[:8], want) || len(got) != 12 {
		t.Fatalf("%x", got)
	}
}
