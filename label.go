package ticketing

import (
	"encoding/binary"
	"time"
)

// MaxLabels bounds the labels of a backtest.
const MaxLabels = 50_000

// Labels say of items that are stored which are good and which are bad: a truth from outside, which nobody here decided. Each item is named by its
// id, or by what [ImportedAs] makes of the key under which it was imported.
type Labels struct {
	Good []ID `cbor:"1,keyasint,omitempty"`
	Bad  []ID `cbor:"2,keyasint,omitempty"`
}

// Len is how many labels there are.
func (l *Labels) Len() int { return len(l.Good) + len(l.Bad) }

// Validate refuses too many labels, and two for one item, as Invalid.
func (l *Labels) Validate() error {
	if l.Len() > MaxLabels {
		return InvalidField("labels", "There are %d labels, more than %d.", l.Len(), MaxLabels)
	}
	seen := make(map[ID]bool, l.Len())
	for _, side := range [][]ID{l.Good, l.Bad} {
		for _, id := range side {
			if id.IsZero() || seen[id] {
				return InvalidField("labels", "Each label names an item, and no item has two.")
			}
			seen[id] = true
		}
	}
	return nil
}

// MaxImportKey bounds the keys of an import, in bytes.
const MaxImportKey = 200

// ImportEntropy is the part of an imported item's id that follows from its importer's key.
func ImportEntropy(key string) uint64 { return Hash64([]byte("import"), []byte(key)) }

// ImportedAs stands for the ids of what was imported under a key, a post or a comment, wherever it lives and whenever it was written: they end as
// it does.
func ImportedAs(key string) ID { return NewID(0, time.UnixMilli(0), ImportEntropy(key)) }

// Imported is the [ImportedAs] of the item's key, if it was imported.
func (id ID) Imported() ID { return NewID(0, time.UnixMilli(0), binary.BigEndian.Uint64(id[8:])) }
