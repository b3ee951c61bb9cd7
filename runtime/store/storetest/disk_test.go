package storetest

import (
	"strconv"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Copies are taken while files are linked; with Pebble's file system alone, the two wait for each other for ever.
func TestCopiesWhileLinking(t *testing.T) {
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
				if err := d.Link("table", strconv.Itoa(w)+"-"+strconv.Itoa(i)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	linked := make(chan struct{})
	go func() { wg.Wait(); close(linked) }()
	for {
		select {
		case <-linked:
			return
		default:
			d.CrashClone(vfs.CrashCloneCfg{})
		}
	}
}
