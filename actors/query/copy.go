package query

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2"
)

// Format is the version of everything in the DB. A projection may be a copy of another one of the same version.
const Format = format

// Range returns the bounds of all keys of a projection; hi is exclusive.
func Range() (lo, hi []byte) { return []byte{0}, []byte{0xff} }

// Begun reports whether Open would find a projection in the DB that goes on from where it was. If not, what is in the range of its keys may be
// replaced before it is opened.
func Begun(db pebble.Reader) (bool, error) {
	v, closer, err := db.Get(metaKey("format"))
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	n, used := binary.Uvarint(v)
	if err := closer.Close(); err != nil {
		return false, err
	}
	if used > 0 && n > 0 && n < format {
		return false, nil
	}
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindCursor}, UpperBound: []byte{kindCursor + 1}})
	if err != nil {
		return false, err
	}
	begun := it.First()
	return begun, errors.Join(it.Error(), it.Close())
}

// View returns the projection as it is now: after a change, never in the middle of one. The caller closes it, before the DB.
func (p *Projection) View() *pebble.Snapshot { return p.db.NewSnapshot() }

// Contents is what has been seen of a projection's pairs. Its zero value has seen nothing.
type Contents struct {
	format uint64
	begun  map[Source]bool
}

// See takes a pair.
func (c *Contents) See(key, value []byte) error {
	switch {
	case string(key) == string(metaKey("format")):
		c.format, _ = binary.Uvarint(value)
	case key[0] == kindCursor:
		s, err := readSource(key)
		if err != nil {
			return err
		}
		if c.begun == nil {
			c.begun = map[Source]bool{}
		}
		c.begun[s] = true
	}
	return nil
}

// Lacks says why what has been seen is no projection that Open takes, and that is begun for all sources; nil: it is.
func (c *Contents) Lacks(sources []Source) error {
	if c.format != format {
		return fmt.Errorf("query: the projection has the format %d and not %d", c.format, format)
	}
	var lacking []string
	for _, s := range sources {
		if !c.begun[s] {
			lacking = append(lacking, fmt.Sprintf("%s/%02d", s.Service, s.Shard))
		}
	}
	if len(lacking) > 0 {
		return fmt.Errorf("query: the projection lacks %s", strings.Join(lacking, ", "))
	}
	return nil
}
