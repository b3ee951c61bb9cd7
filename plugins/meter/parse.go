package meter

import (
	"bytes"
	"strings"
	"time"
)

// Sections of a module, by their numbers in the binary form.
const (
	secCustom = iota
	secType
	secImport
	secFunction
	secTable
	secMemory
	secGlobal
	secExport
	secStart
	secElement
	secCode
	secData
	secDataCount
	sections
)

var sectionNames = [sections]string{"custom", "type", "import", "function", "table", "memory", "global", "export", "start",
	"element", "code", "data", "data count"}

// sectionOrder lists the sections in the order in which a module has them; custom ones may stand anywhere.
var sectionOrder = [...]int{secType, secImport, secFunction, secTable, secMemory, secGlobal, secExport, secStart, secElement,
	secDataCount, secCode, secData}

// place returns where a section stands among the others, from 1; 0 if there is no such section.
func place(id byte) int {
	for i, s := range sectionOrder {
		if s == int(id) {
			return i + 1
		}
	}
	return 0
}

// Inspect reads a module once, from its first byte to its last, and checks what can be known without compiling it: that it is
// well formed, that every index names something, that it uses no refused feature, and that it stays within the limits. Types
// inside of functions are left to the compiler. Time and memory are linear in the size of the module. The error is a *[Fault].
// The result points into wasm, which must not change.
func Inspect(wasm []byte, l Limits) (*Module, error) {
	p := parser{limits: l.filled()}
	if f := p.parse(wasm); f != nil {
		return nil, f
	}
	return &p.module, nil
}

// A parser reads one module. With a rewriter it writes what it reads into it.
type parser struct {
	limits     Limits
	module     Module
	types      []FuncType
	functions  []uint32 // the types of all functions, imported ones first
	tables     int
	elements   int // segments
	dataCount  int // as declared; -1 without the section
	data       int // segments read
	codes      int // bodies read
	walker     walker
	out        *rewriter // nil if nothing is to be rewritten
	effort     effort    // of compiling what was read
	inFunction int       // index of the function that is being read; -1 outside
	// declared holds the functions that exports, globals or elements name: code may refer to no others. The compiler would check it, but
	// it sees a start function that we have exported.
	declared []bool
}

func (p *parser) imported() int { return len(p.module.Imports) }

func (p *parser) parse(wasm []byte) *Fault {
	p.inFunction, p.dataCount = -1, -1
	p.walker.p = p
	whole := func(at int, msg string) *Fault { return &Fault{Offset: at, Function: -1, Msg: msg} }
	r := reader{b: wasm}
	switch {
	case len(wasm) > p.limits.ModuleBytes:
		r.fail("has %d bytes; at most %d are allowed", len(wasm), p.limits.ModuleBytes)
	case len(wasm) < 8 || !bytes.HasPrefix(wasm, []byte("\x00asm")):
		r.fail("is not WebAssembly")
	case !bytes.Equal(wasm[4:8], []byte{1, 0, 0, 0}):
		r.failAt(4, "is not a core module of version 1; components are not supported")
	default:
		r.pos = 8
	}
	for last := 0; r.more(); {
		at := r.pos
		id := r.byte()
		s := r.part(r.u32())
		if !r.ok() {
			break
		}
		if id != secCustom {
			switch n := place(id); {
			case n == 0:
				return whole(at, "has a section of an unknown kind")
			case n <= last:
				return whole(at, "has its "+sectionNames[id]+" section twice or out of order")
			default:
				last = n
			}
		}
		if f := p.section(id, &s); f != nil {
			return f
		}
	}
	if !r.ok() {
		return whole(r.at, r.msg)
	}
	switch {
	case p.codes != len(p.functions)-p.imported():
		return whole(len(wasm), "declares functions that have no code")
	case p.dataCount >= 0 && p.dataCount != p.data:
		return whole(len(wasm), "announces another number of data segments than it has")
	}
	if msg := p.effort.check(&p.limits, len(wasm)); msg != "" {
		return whole(0, msg)
	}
	p.module.Compile = time.Duration(p.effort.time)
	return nil
}

// section reads one section to its end.
func (p *parser) section(id byte, s *reader) *Fault {
	if p.out != nil {
		p.out.begin(id, s)
	}
	switch id {
	case secCustom:
		p.module.customs = append(p.module.customs, custom{name: s.name(), data: s.b[s.pos:]})
		s.pos = len(s.b)
	case secType:
		p.readTypes(s)
	case secImport:
		p.readImports(s)
	case secFunction:
		p.readFunctions(s)
	case secTable:
		p.readTables(s)
	case secMemory:
		p.readMemory(s)
	case secGlobal:
		p.readGlobals(s)
	case secExport:
		p.readExports(s)
	case secStart:
		p.readStart(s)
	case secElement:
		p.readElements(s)
	case secCode:
		p.readBodies(s)
	case secData:
		p.readData(s)
	case secDataCount:
		p.dataCount = s.count(p.limits.DataSegments, "data segments")
	}
	if s.more() {
		s.fail("goes on after its end")
	}
	if !s.ok() {
		return &Fault{Section: sectionNames[id], Offset: s.at, Function: p.inFunction, Msg: s.msg}
	}
	if p.out != nil {
		p.out.finish(id, s)
	}
	return nil
}

// list reads the length of a section's list; what follows is the list itself.
func (p *parser) list(s *reader, limit int, what string) int {
	n := s.count(limit, what)
	if p.out != nil {
		p.out.list(n, s)
	}
	return n
}

// function reads the index of a function, outside of code. The rewritten module has another one in its place.
func (p *parser) function(s *reader) uint32 {
	at := s.pos
	i := s.index(len(p.functions), "function")
	if !s.ok() {
		return 0
	}
	if p.declared == nil { // all functions are known before the first is named
		p.declared = make([]bool, len(p.functions))
	}
	p.declared[i] = true
	if p.out != nil {
		p.out.replace(s, at, i)
	}
	return i
}

func (p *parser) readTypes(s *reader) {
	for range p.list(s, p.limits.Types, "types") {
		if form := s.byte(); form != 0x60 && s.ok() {
			s.fail("has a type that is not a function")
		}
		p.types = append(p.types, FuncType{p.values(s), p.values(s)})
		if !s.ok() {
			return
		}
	}
}

// values reads a list of value types.
func (p *parser) values(s *reader) []ValueType {
	n := s.count(p.limits.Params, "parameters or results in a type")
	list := s.take(uint32(n))
	for _, t := range list {
		checkValue(s, t)
	}
	return list
}

func checkValue(s *reader, t ValueType) {
	switch t {
	case I32, I64, F32, F64, V128, FuncRef, ExternRef:
	default:
		if s.ok() {
			s.fail("has a value of the unknown type %#x", t)
		}
	}
}

func checkRef(s *reader, t ValueType) {
	if t != FuncRef && t != ExternRef && s.ok() {
		s.fail("has a reference of the unknown type %#x", t)
	}
}

// Namespace is the module that a rewritten module imports from, and the beginning of the names that it exports. No guest may use
// it by itself.
const Namespace = "ticketing_meter"

func (p *parser) readImports(s *reader) {
	for range p.list(s, p.limits.Imports, "imports") {
		at := s.pos
		i := Import{Module: s.name(), Name: s.name()}
		kind := s.byte()
		switch {
		case !s.ok():
			return
		case kind != byte(KindFunction):
			s.failAt(at, "imports the %v %q of %q; only functions may be imported", Kind(kind), shown(i.Name), shown(i.Module))
			return
		case i.Module == Namespace:
			s.failAt(at, "imports %q of %q, which is reserved", shown(i.Name), Namespace)
			return
		}
		t := s.index(len(p.types), "type")
		if !s.ok() {
			return
		}
		i.Type = p.types[t]
		p.module.Imports = append(p.module.Imports, i)
		p.functions = append(p.functions, t)
	}
}

func (p *parser) readFunctions(s *reader) {
	n := p.list(s, p.limits.Functions, "functions")
	p.module.Functions = n
	for range n {
		t := s.index(len(p.types), "type")
		if !s.ok() {
			return
		}
		p.functions = append(p.functions, t)
	}
}

// bounds reads the limits of a table or memory.
func bounds(s *reader, what string) (m Memory) {
	at := s.pos
	flags := s.byte()
	if flags > 1 {
		s.failAt(at, "has a %s that is shared or has 64-bit addresses", what)
	}
	m.Min = s.u32()
	if flags == 1 {
		m.HasMax = true
		m.Max = s.u32()
	}
	return m
}

func (p *parser) readTables(s *reader) {
	p.tables = p.list(s, p.limits.Tables, "tables")
	total := uint64(0)
	for range p.tables {
		at := s.pos
		checkRef(s, s.byte())
		total += uint64(bounds(s, "table").Min)
		if limit := p.limits.TableElements; total > uint64(limit) {
			s.failAt(at, "asks for tables of %d elements; at most %d are allowed", total, limit)
		}
		if !s.ok() {
			return
		}
	}
}

func (p *parser) readMemory(s *reader) {
	if p.list(s, 1, "memories") == 0 {
		return
	}
	at := s.pos
	m := bounds(s, "memory")
	if limit := p.limits.MemoryPages; uint64(m.Min) > uint64(limit) {
		s.failAt(at, "asks for %d KiB; at most %d are allowed", uint64(m.Min)*64, uint64(limit)*64)
	}
	p.module.Memory = &m
}

func (p *parser) readGlobals(s *reader) {
	n := p.list(s, p.limits.Globals, "globals")
	for range n {
		checkValue(s, s.byte())
		if mutable := s.byte(); mutable > 1 {
			s.fail("has a global that is neither mutable nor not")
		}
		if p.constant(s); !s.ok() {
			return
		}
	}
	p.module.Globals = n
}

// constant reads a constant expression: one instruction and the end.
func (p *parser) constant(s *reader) {
	at := s.pos
	switch op := s.byte(); op {
	case opI32Const:
		s.skipLEB(5)
	case opI64Const:
		s.skipLEB(10)
	case opF32Const:
		s.take(4)
	case opF64Const:
		s.take(8)
	case opRefNull:
		checkRef(s, s.byte())
	case opRefFunc:
		p.function(s)
	case opVector:
		if s.u32() != 12 && s.ok() {
			s.failAt(at, "has an expression that is not constant")
		}
		s.take(16)
	default:
		s.failAt(at, "has an expression that is not constant, or of an imported global")
	}
	if end := s.byte(); end != opEnd && s.ok() {
		s.fail("has a constant expression of several instructions")
	}
}

func (p *parser) readExports(s *reader) {
	kinds := [...]int{len(p.functions), p.tables, 0, p.module.Globals}
	if p.module.Memory != nil {
		kinds[KindMemory] = 1
	}
	for range p.list(s, p.limits.Exports, "exports") {
		at := s.pos
		e := Export{Name: s.name()}
		kind := s.byte()
		switch {
		case !s.ok():
			return
		case strings.HasPrefix(e.Name, Namespace):
			s.failAt(at, "exports %q; names that begin with %q are reserved", shown(e.Name), Namespace)
			return
		case int(kind) >= len(kinds):
			s.failAt(at, "exports %q, which is neither function, table, memory nor global", shown(e.Name))
			return
		}
		if e.Kind = Kind(kind); e.Kind == KindFunction {
			e.Index = p.function(s)
		} else {
			e.Index = s.index(kinds[kind], e.Kind.String())
		}
		if !s.ok() {
			return
		}
		if e.Kind == KindFunction {
			e.Type = p.types[p.functions[e.Index]]
		}
		p.module.Exports = append(p.module.Exports, e)
	}
}

// readStart reads the start function. It loses its place in the rewritten module, so that its type must be checked here.
func (p *parser) readStart(s *reader) {
	at := s.pos
	i := s.index(len(p.functions), "function")
	if !s.ok() {
		return
	}
	if t := p.types[p.functions[i]]; len(t.Params)+len(t.Results) > 0 {
		s.failAt(at, "names a function that has parameters or results")
	}
	p.module.Start = true
	if p.out != nil {
		p.out.start = i
	}
}

func (p *parser) readElements(s *reader) {
	p.elements = p.list(s, p.limits.ElementSegments, "element segments")
	for range p.elements {
		at := s.pos
		flags := s.u32()
		if flags > 7 {
			s.failAt(at, "has a segment of an unknown kind")
		}
		if flags&1 == 0 { // active
			if flags&2 != 0 {
				s.index(p.tables, "table")
			}
			p.constant(s)
		}
		if flags&3 != 0 {
			if t := s.byte(); flags&4 != 0 {
				checkRef(s, t)
			} else if t != 0 {
				s.fail("has a segment of something else than functions")
			}
		}
		for n := s.u32(); n > 0 && s.ok(); n-- {
			if flags&4 != 0 {
				p.constant(s)
			} else {
				p.function(s)
			}
		}
		if !s.ok() {
			return
		}
	}
}

func (p *parser) readData(s *reader) {
	p.data = p.list(s, p.limits.DataSegments, "data segments")
	for range p.data {
		at := s.pos
		flags := s.u32()
		if flags > 2 {
			s.failAt(at, "has a segment of an unknown kind")
		}
		if flags == 2 && s.u32() != 0 {
			s.failAt(at, "names a memory that does not exist")
		}
		if flags != 1 {
			p.constant(s)
		}
		if s.bytes(); !s.ok() {
			return
		}
	}
}

// readBodies reads the code of all functions.
func (p *parser) readBodies(s *reader) {
	declared := len(p.functions) - p.imported()
	p.codes = p.list(s, p.limits.Functions, "functions")
	if p.codes != declared && s.ok() {
		s.fail("has the code of %d functions and not of the %d that are declared", p.codes, declared)
	}
	for i := 0; i < p.codes && s.ok(); i++ {
		at := s.pos
		size := s.u32()
		p.inFunction = p.imported() + i
		if limit := p.limits.BodyBytes; uint64(size) > uint64(limit) {
			s.failAt(at, "has %d bytes; at most %d are allowed", size, limit)
			return
		}
		body := s.part(size)
		if !s.ok() {
			return
		}
		if p.walker.walk(body, p.types[p.functions[p.inFunction]]); !p.walker.r.ok() {
			s.failAt(p.walker.r.at, "%s", p.walker.r.msg)
			return
		}
		p.effort.add(p.inFunction, &p.walker)
		if p.out != nil {
			p.out.function(&p.walker)
		}
	}
	p.inFunction = -1
}
