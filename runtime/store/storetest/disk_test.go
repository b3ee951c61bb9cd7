package storetest

import (
	"strconv"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Copies are taken while files are linked, reused and locked; with Pebble's file system alone, the two wait for each other for ever.
func TestCopies(t *testing.T) {
	for name, step := range map[string]func(d *Disk, file string) error{
		"link": func(d *Disk, file string) error { return d.Link("table", file) },
		"reuse": func(d *Disk, file string) error {
			old, err := d.Create(file+".old", vfs.WriteCategoryUnspecified)
			if err != nil {
				return err
			}
			if err := old.Close(); err != nil {
				return err
			}
			f, err := d.ReuseForWrite(file+".old", file, vfs.WriteCategoryUnspecified)
			if err != nil {
				return err
			}
			return f.Close()
		},
		"lock": func(d *Disk, file string) error {
			lock, err := d.Lock(file)
			if err != nil {
				return err
			}
			return lock.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := NewDisk()
			f, err := d.Create("table", vfs.WriteCategoryUnspecified)
			if err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			for w := range 2 {
				wg.Go(func() {
					for i := range 2_000 {
						if err := step(d, strconv.Itoa(w)+"-"+strconv.Itoa(i)); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			done := make(chan struct{})
			go func() { wg.Wait(); close(done) }()
			for {
				select {
				case <-done:
					return
				default:
					d.CrashClone(vfs.CrashCloneCfg{})
				}
			}
		})
	}
}
