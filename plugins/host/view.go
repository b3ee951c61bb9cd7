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
	seed   uint64
	fields []abi.Field           // those that the item has
	index  [abi.FieldEnd]uint8   // place in fields plus one, 0 for absent
	shapes []frame               // what the rules may see, each once
	some   []abi.Field           // scratch for the fields of a shape
	folded [abi.FieldEnd]folding // of texts
	folder folder

	joint    *joint // of the judge's rules
	scanners []scanner
	trail    trail
	searches uint64 // that were made, of any item
}

// A shape is what a rule may see of an item.
type shape struct {
	fields abi.Fields
	time   bool
	room   int // bytes of the guest's buffer
}

// A frame is the frame of a shape.
type frame struct {
	shape
	built bool // for the present item
	bytes []byte
}

// shapeOf returns the place of a shape in shapes.
func (v *view) shapeOf(s shape) int {
	i := slices.IndexFunc(v.shapes, func(f frame) bool { return f.shape == s })
	if i < 0 {
		i = len(v.shapes)
		v.shapes = append(v.shapes, frame{shape: s})
	}
	return i
}

// A folding is the folded form of a text, made when a rule first asks for it.
type folding struct {
	state foldState
	text  []byte  // if state is foldDone
	plain []byte  // the folded text of one that is ASCII, if somebody asked for it
	from  []int32 // where in the text each byte of the folded one comes from, if somebody asked for it
}

type foldState uint8

const (
	foldUnknown foldState = iota
	foldASCII             // the text itself does, but for its case
	foldDone
)

// show makes the view one of another item.
func (v *view) show(item *ticketing.Item) {
	var rev [4]byte
	binary.LittleEndian.PutUint32(rev[:], item.Rev)
	v.item, v.fields, v.seed = item, v.fields[:0], ticketing.Hash64(item.ID[:], rev[:])
	clear(v.index[:])
	for i := range v.folded {
		v.folded[i].state, v.folded[i].plain = foldUnknown, v.folded[i].plain[:0]
		v.folded[i].from = v.folded[i].from[:0]
	}
	for i := range v.shapes {
		v.shapes[i].built = false
	}
	for i := range v.scanners {
		v.scanners[i].done = [len(searched)]bool{}
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
	v.text(abi.FieldLocale, item.Locale)
	v.text(abi.FieldAuthorName, item.Author.Name)
	v.text(abi.FieldText, item.Text)
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

// frameOf returns the frame of a shape. It is valid until the next item.
func (v *view) frameOf(i int) []byte {
	f := &v.shapes[i]
	if f.built {
		return f.bytes
	}
	f.built = true
	fields := v.fields
	if f.fields != abi.AllFields {
		v.some = v.some[:0]
		for j := range v.fields {
			if f.fields.Has(v.fields[j].ID) {
				v.some = append(v.some, v.fields[j])
			}
		}
		fields = v.some
	}
	h := abi.Header{Seed: v.seed}
	if f.time {
		h.Time = v.item.At.UnixMilli()
	}
	if v.item.Rev > 1 {
		h.Flags = abi.FlagEdit
	}
	f.bytes = abi.AppendFrame(f.bytes[:0], h, fields, f.room)
	return f.bytes
}

// fold folds a text that is not ASCII, and returns its folding.
func (v *view) fold(f *abi.Field) *folding {
	fold := &v.folded[f.ID]
	if fold.state == foldUnknown {
		if fold.state = foldASCII; !isASCII(f.Text) {
			fold.state, fold.text = foldDone, v.folder.append(fold.text[:0], f.Text)
		}
	}
	return fold
}

// foldedText returns a text's folded form.
func (v *view) foldedText(f *abi.Field) []byte {
	fold := v.fold(f)
	if fold.state == foldDone {
		return fold.text
	}
	if len(fold.plain) == 0 {
		fold.plain = appendLower(fold.plain, f.Text)
	}
	return fold.plain
}

// scan finds the first hit of every set in a text, and returns how many sets have one; offsets are those of the folded text. A text that nobody
// has looked at yet is searched as if it were ASCII, which shows whether it is.
func (v *view) scan(w *words, f *abi.Field, hits []hit) (sets int) {
	if fold := &v.folded[f.ID]; fold.state == foldUnknown {
		if sets, plain := scanPlain(w, f.Text, hits, &v.trail); plain {
			fold.state = foldASCII
			return sets
		}
	}
	if fold := v.fold(f); fold.state == foldDone {
		return scan(w, fold.text, hits, &v.trail)
	}
	return scan(w, f.Text, hits, &v.trail)
}

// scanAll finds all hits of one word set in a text; offsets are those of the folded text.
func (v *view) scanAll(w *words, f *abi.Field, set int32, each eachHit) {
	if fold := v.fold(f); fold.state == foldASCII {
		scanAll(w, f.Text, set, &v.trail, each)
	} else {
		scanAll(w, fold.text, set, &v.trail, each)
	}
}

// origin translates an offset in the folded text to one in the field.
func (v *view) origin(f *abi.Field, at int32) int32 {
	fold := &v.folded[f.ID]
	if fold.state != foldDone {
		return at
	}
	if len(fold.from) == 0 {
		fold.from = v.folder.origins(fold.from, f.Text)
	}
	return fold.from[at]
}
