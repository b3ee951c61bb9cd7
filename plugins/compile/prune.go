package compile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// What is kept: the entries used last, as long as they stay within both bounds. A child that is at work is younger than the last.
const (
	keepBytes = 512 << 20
	keepFiles = 256
	staleWork = time.Hour
)

// An entry is a compiled module in the directory.
type entry struct {
	path string
	used time.Time
	size int64
}

// prune removes entries of other engines, those used longest ago over the bounds, and the work of children that died.
func (c *Compiler) prune() error {
	others, err := os.ReadDir(c.root)
	if err != nil {
		return err
	}
	for _, o := range others {
		if filepath.Join(c.root, o.Name()) == c.dir {
			continue
		}
		info, err := o.Info()
		if strings.HasPrefix(o.Name(), "tmp-") && (err != nil || time.Since(info.ModTime()) < staleWork) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(c.root, o.Name())); err != nil {
			return err
		}
	}
	entries, err := c.entries()
	if err != nil {
		return err
	}
	slices.SortFunc(entries, func(a, b entry) int { return b.used.Compare(a.used) })
	var bytes int64
	for i, e := range entries {
		if bytes += e.size; i > 0 && (i >= keepFiles || bytes > keepBytes) {
			if err := os.RemoveAll(e.path); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Compiler) entries() ([]entry, error) {
	names, err := os.ReadDir(c.dir)
	if err != nil {
		return nil, err
	}
	var all []entry
	for _, n := range names {
		info, err := n.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, err
		}
		e := entry{path: filepath.Join(c.dir, n.Name()), used: info.ModTime()}
		err = filepath.WalkDir(e.path, func(_ string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			if err == nil {
				e.size += info.Size()
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}
