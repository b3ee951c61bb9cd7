package meter

// What the host and a rewritten module have in common.
const (
	Refill      = "refill"             // the function that the host gives it in [Namespace]; no parameters, no results
	FuelExport  = Namespace + ".fuel"  // a mutable i64: what is left of the slice
	DepthExport = Namespace + ".depth" // a mutable i32: calls inside each other
	StartExport = Namespace + ".start" // the start function, if the module had one; no parameters, no results
)

// Slice is how many units a host should give at a time. Between two slices the garbage collector can stop the guest and its deadline is
// looked at, so that a slice must be short even for code that waits for memory all the time: 100,000 units are 6 to 100 µs of most code and
// 3 ms of that.
const Slice = 100_000

// Rewrite returns the module with a meter in it, as the package comment describes. It inspects it as [Inspect] does, in the same pass;
// the error is a *[Fault]. The same module and call depth give the same bytes. They are new: wasm stays as it is.
func Rewrite(wasm []byte, l Limits) ([]byte, *Module, error) {
	p := parser{limits: l.filled()}
	p.out = &rewriter{p: &p, known: map[string]uint32{}}
	if f := p.parse(wasm); f != nil {
		return nil, nil, f
	}
	return p.out.module(len(wasm)), &p.module, nil
}

// A rewriter collects the sections of the rewritten module while the old one is read.
type rewriter struct {
	p      *parser
	parts  [sections]part
	body   []byte // the section that is being read, as far as it differs
	copied int    // position up to which it is in body
	count  int    // of its list
	code   []byte // the bodies that are done
	one    []byte // a body that is being written
	at     body   // …and what it is like
	start  uint32 // the start function, if there is one
	copies split  // does memory.copy in chunks
	fills  split  // …and memory.fill
	splits uint32 // how many of these there are
	added  []FuncType
	known  map[string]uint32 // types by their text; filled when first needed
}

// A part is a section without the length of its list.
type part struct {
	count int
	rest  []byte
}

// begin and finish enclose the reading of a section; list begins its list.
func (o *rewriter) begin(id byte, s *reader) {
	o.body, o.copied, o.count = nil, s.pos, 0
	if size := len(s.b) - s.pos; id == secCode {
		o.code = make([]byte, 0, size+size/2)
	}
}

func (o *rewriter) list(n int, s *reader) { o.count, o.copied = n, s.pos }

func (o *rewriter) finish(id byte, s *reader) {
	rest := s.b[o.copied:]
	if o.body != nil {
		rest = append(o.body, rest...)
	}
	if id == secCode {
		rest = o.code
	}
	o.parts[id] = part{o.count, rest}
}

// replace puts the new index of a function in the place of the one that was read since at.
func (o *rewriter) replace(s *reader, at int, index uint32) {
	o.body = append(o.body, s.b[o.copied:at]...)
	o.body = appendU32(o.body, o.shift(index))
	o.copied = s.pos
}

// shift returns the new index of a function: refill stands behind the other imports.
func (o *rewriter) shift(index uint32) uint32 {
	if int(index) >= o.p.imported() {
		return index + 1
	}
	return index
}

func (o *rewriter) refill() uint32 { return uint32(o.p.imported()) }
func (o *rewriter) fuel() uint32   { return uint32(o.p.module.Globals) }
func (o *rewriter) depth() uint32  { return uint32(o.p.module.Globals) + 1 }

// typeOf returns the index of a type, which it adds if the module has none like it.
func (o *rewriter) typeOf(t FuncType) uint32 {
	key := func(t FuncType) string { return string(t.Params) + ">" + string(t.Results) }
	if len(o.known) == 0 {
		for i, t := range o.p.types {
			if _, ok := o.known[key(t)]; !ok {
				o.known[key(t)] = uint32(i)
			}
		}
	}
	i, ok := o.known[key(t)]
	if !ok {
		i = uint32(len(o.p.types) + len(o.added))
		o.added = append(o.added, t)
		o.known[key(t)] = i
	}
	return i
}

// module puts the sections together.
func (o *rewriter) module(size int) []byte {
	refillType := o.typeOf(FuncType{})
	splitTypes, splitCode := o.splitBodies()
	out := append(make([]byte, 0, size+size/2), "\x00asm\x01\x00\x00\x00"...)
	for _, id := range sectionOrder {
		have := o.parts[id]
		added, extra := 0, []byte(nil)
		switch id {
		case secType:
			added = len(o.added)
			for _, t := range o.added {
				extra = append(extra, 0x60)
				extra = append(appendU32(extra, uint32(len(t.Params))), t.Params...)
				extra = append(appendU32(extra, uint32(len(t.Results))), t.Results...)
			}
		case secImport:
			added = 1
			extra = appendName(appendName(extra, Namespace), Refill)
			extra = appendU32(append(extra, byte(KindFunction)), refillType)
		case secFunction:
			added, extra = int(o.splits), splitTypes
		case secCode:
			added, extra = int(o.splits), splitCode
		case secGlobal:
			added = 2
			extra = append(extra, I64, 1, opI64Const, 0, opEnd, I32, 1, opI32Const, 0, opEnd)
		case secExport:
			added, extra = o.exports()
		case secStart:
			continue
		case secDataCount:
			if o.p.dataCount >= 0 {
				out = appendSection(out, id, appendU32(nil, uint32(o.p.dataCount)), nil, nil)
			}
			continue
		}
		if n := have.count + added; n > 0 || have.rest != nil {
			out = appendSection(out, id, appendU32(nil, uint32(n)), have.rest, extra)
		}
	}
	return out
}

func (o *rewriter) exports() (added int, extra []byte) {
	add := func(name string, kind Kind, index uint32) {
		added++
		extra = appendU32(append(appendName(extra, name), byte(kind)), index)
	}
	add(FuelExport, KindGlobal, o.fuel())
	add(DepthExport, KindGlobal, o.depth())
	if o.p.module.Start {
		add(StartExport, KindFunction, o.shift(o.start))
	}
	return added, extra
}

func appendSection(out []byte, id int, head, rest, extra []byte) []byte {
	out = appendU32(append(out, byte(id)), uint32(len(head)+len(rest)+len(extra)))
	return append(append(append(out, head...), rest...), extra...)
}
