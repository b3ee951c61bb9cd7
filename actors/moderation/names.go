package moderation

import (
	"slices"

	"ticketing"
	"ticketing/runtime/shard"
)

// maxNames bounds how many names of one author are kept. Evidence under a further one has none.
const maxNames = 100

// storedNames are the names under which an author's items were judged.
type storedNames struct {
	Names   []string `cbor:"1,keyasint,omitempty"`
	Removed bool     `cbor:"2,keyasint,omitempty"` // the account was, and with it the names; none is kept any more
}

func namesKey(author ticketing.ID) shard.Key { return shard.KeyOf(tableNames, author) }

// nameOf returns the number of an author's name, and keeps the name if it is new. It is 0 if it may not be kept.
func nameOf(tx *shard.Tx, a *ticketing.Author) uint32 {
	var n storedNames
	tx.Get(namesKey(a.ID), &n)
	i := slices.Index(n.Names, a.Name)
	if i < 0 {
		if n.Removed || len(n.Names) >= maxNames {
			return 0
		}
		i = len(n.Names)
		n.Names = append(n.Names, a.Name)
		tx.Put(namesKey(a.ID), &n)
	}
	return uint32(i + 1)
}

// named puts the author's name back into evidence, and reports whether there is one.
func named(v *shard.View, e *storedEvidence) bool {
	var n storedNames
	v.Get(namesKey(e.Item.Author.ID), &n)
	return n.name(e)
}

// name is named, by the names of the author.
func (n *storedNames) name(e *storedEvidence) bool {
	i := int(e.Name) - 1
	switch {
	case n.Removed, i >= len(n.Names):
		e.Item.Author.Name = ticketing.RemovedName
		return false
	case i >= 0:
		e.Item.Author.Name = n.Names[i]
	}
	return e.Item.Author.Name != "" // with evidence from before names had a record of their own
}

// userChanged takes an author's names away when the account was removed. What was written stays, under the name of all removed accounts.
func (s *service) userChanged(tx *shard.Tx, _ *ticketing.Event, e *ticketing.UserChanged) error {
	if e.User.Removed && tx.Format() >= ticketing.PlatformFormat {
		tx.Put(namesKey(e.User.ID), &storedNames{Removed: true})
	}
	return nil
}
