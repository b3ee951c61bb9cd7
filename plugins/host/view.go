package host

import (
	"encoding/binary"
	"slices"

	"ticketing"
	"ticketing/plugins/abi"
)

// A view is one item as guests see it: built once, shown to every rule. Its memory is used again for the next item.
type view struct {
	item   *ticketing.Item
	fields []abi.Field           // those that the item has
	index  [abi.FieldEnd]uint8   // place in fields plus one, 0 for absent
	frame  []byte                // for guests with a buffer of abi.MaxFrame bytes
	short  []byte                // for guests with a smaller one
	folded [abi.FieldEnd]folding // of texts
	folder folder
}

// A folding is the folded form of a text, made when a rule first asks for it.
type folding struct {
	state foldState
	text  []byte // if state is foldDone
}

type foldState uint8

const (
	foldUnknown foldState = iota
	foldASCII             // the text itself does
	foldDone
)

// show makes the view one of another item.
func (v *view) show(item *ticketing.Item) {
	v.item, v.fields = item, v.fields[:0]
	clear(v.index[:])
	for i := range v.folded {
		v.folded[i].state = foldUnknown
	}
	v.number(abi.FieldKind, uint64(item.Kind))
	v.id(abi.FieldItem, &item.ID)
	v.id(abi.FieldPost, &item.Post)
	v.id(abi.FieldParent, &item.Parent)
	v.text(abi.FieldTitle, item.Title)
	v.id(abi.FieldAuthor, &item.Author.ID)
	v.number(abi.FieldAuthorAge, uint64(max(item.AuthorAge, 0)))
	v.number(abi.FieldApproved, uint64(item.Counts.Approved))
	v.number(abi.FieldRejected, uint64(item.Counts.Rejected))
	v.number(abi.FieldHeld, uint64(item.Counts.Held))
	v.number(abi.FieldReports, uint64(item.Counts.Reports))
	v.number(abi.FieldRevision, uint64(item.Rev))
	v.text(abi.FieldAuthorName, item.Author.Name)
	v.text(abi.FieldText, item.Text)
	v.frame = abi.AppendFrame(v.frame[:0], v.header(), v.fields, abi.MaxFrame)
}

func (v *view) header() abi.Header {
	var rev [4]byte
	binary.LittleEndian.PutUint32(rev[:], v.item.Rev)
	h := abi.Header{Time: v.item.At.UnixMilli(), Seed: ticketing.Hash64(v.item.ID[:], rev[:])}
	if v.item.Rev > 1 {
		h.Flags = abi.FlagEdit
	}
	return h
}

// add makes room for a field and returns it; only the member that its type names counts.
func (v *view) add(id abi.FieldID, typ abi.Type) *abi.Field {
	n := len(v.fields)
	if n == cap(v.fields) {
		v.fields = slices.Grow(v.fields, int(abi.FieldEnd))
	}
	v.fields = v.fields[:n+1]
	v.index[id] = uint8(n + 1)
	f := &v.fields[n]
	f.ID, f.Type = id, typ
	return f
}

func (v *view) number(id abi.FieldID, n uint64) { v.add(id, abi.TypeNumber).Number = n }

func (v *view) id(id abi.FieldID, of *ticketing.ID) {
	if !of.IsZero() {
		v.add(id, abi.TypeBytes).Bytes = of[:]
	}
}

func (v *view) text(id abi.FieldID, s string) {
	if s != "" {
		v.add(id, abi.TypeText).Text = s
	}
}

// field returns a field, nil if the item does not have it.
func (v *view) field(id uint32) *abi.Field {
	if id >= uint32(len(v.index)) || v.index[id] == 0 {
		return nil
	}
	return &v.fields[v.index[id]-1]
}

// frameFor returns the frame for a buffer. It is valid until the next call.
func (v *view) frameFor(limit int) []byte {
	if len(v.frame) <= limit {
		return v.frame
	}
	v.short = abi.AppendFrame(v.short[:0], v.header(), v.fields, limit)
	return v.short
}

// scan finds the first hit of every word set in a text.
func (v *view) scan(w *words, f *abi.Field, hits []hit) {
	fold := &v.folded[f.ID]
	if fold.state == foldUnknown {
		if fold.state = foldASCII; !isASCII(f.Text) {
			fold.state, fold.text = foldDone, v.folder.append(fold.text[:0], f.Text)
		}
	}
	if fold.state == foldASCII {
		scan(w, f.Text, hits)
	} else {
		scan(w, fold.text, hits)
	}
}

// origin translates the offset in a hit to one in the field.
func (v *view) origin(f *abi.Field, h hit) hit {
	if h == noHit || v.folded[f.ID].state != foldDone {
		return h
	}
	return h>>32<<32 | hit(v.folder.origin(f.Text, int(uint32(h))))
}
