package host

import (
	"bytes"
	"fmt"

	"ticketing"
	"ticketing/plugins/abi"
)

// Bounds of a module, beside ticketing.MaxModule. They bound the time and memory that compiling and instantiating take.
const (
	maxTypes          = 2_000
	maxParams         = 64 // parameters or results of a type
	maxImports        = 64
	maxFunctions      = 20_000
	maxBody           = 64 << 10 // bytes of a function
	maxLocals         = 512
	maxBranches       = 4_096
	maxLocalsBranches = 200_000
	maxGlobals        = 1_000
	maxExports        = 1_000
	maxSegments       = 4_000 // of data, and as many of elements
	maxTableMin       = 65_536
	maxPages          = 16 << 20 / pageSize
	pageSize          = 64 << 10
)

// Sections of a module.
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
)

// sectionOrder is the place of a section among the others; 0 for unknown ones.
var sectionOrder = [...]int{secType: 1, secImport: 2, secFunction: 3, secTable: 4, secMemory: 5, secGlobal: 6, secExport: 7,
	secStart: 8, secElement: 9, secDataCount: 10, secCode: 11, secData: 12}

// A funcType is the type of a function.
type funcType struct{ params, results []byte }

func (t funcType) is(s abi.Signature) bool {
	return equalTypes(t.params, s.Params) && equalTypes(t.results, s.Results)
}

func equalTypes(got []byte, want []abi.ValueType) bool {
	if len(got) != len(want) {
		return false
	}
	for i, t := range want {
		if got[i] != byte(t) {
			return false
		}
	}
	return true
}

// An inspection is what is known of a module while its sections are read.
type inspection struct {
	types     []funcType
	functions []uint32 // the type of every function, imported ones first
	imported  int
	memories  int
	exports   map[string]export
	bodies    int
}

type export struct {
	kind  byte
	index uint32
}

// inspect checks a module before anything is compiled: its size, that it is WebAssembly, the bounds above, imports and
// exports. It never runs long: every byte is read once. Types inside of functions are left to the compiler. Faults are
// Invalid and name what is wrong.
func inspect(module []byte) error {
	switch {
	case len(module) > ticketing.MaxModule:
		return invalid("The module has %d bytes; at most %d are allowed.", len(module), ticketing.MaxModule)
	case len(module) < 8 || !bytes.HasPrefix(module, []byte("\x00asm")):
		return invalid("This is not a WebAssembly module.")
	case !bytes.Equal(module[4:8], []byte{1, 0, 0, 0}):
		return invalid("This is not a core WebAssembly module of version 1; components are not supported.")
	}
	m := &inspection{exports: map[string]export{}}
	r := &wasmReader{b: module[8:]}
	for last := 0; r.more(); {
		id := r.byte()
		section := &wasmReader{b: r.bytes()}
		if r.err != nil {
			break
		}
		if id == secCustom {
			continue
		}
		if int(id) >= len(sectionOrder) {
			return invalid("The module has a section of the unsupported kind %d.", id)
		}
		if sectionOrder[id] <= last {
			return invalid("The sections of the module are out of order.")
		}
		last = sectionOrder[id]
		if err := m.section(id, section); err != nil {
			return err
		}
	}
	if r.err != nil {
		return malformed(r.err)
	}
	return m.complete()
}

func invalid(format string, args ...any) error {
	return ticketing.Errorf(ticketing.Invalid, format, args...)
}

func malformed(err error) error { return invalid("The module is malformed: %v.", err) }

// name shortens a name that a module chose, for messages.
func name(b []byte) string { return string(b[:min(len(b), 64)]) }

func (m *inspection) section(id byte, r *wasmReader) (err error) {
	switch id {
	case secType:
		err = m.readTypes(r)
	case secImport:
		err = m.readImports(r)
	case secFunction:
		err = m.readFunctions(r)
	case secTable:
		err = readTables(r)
	case secMemory:
		err = m.readMemories(r)
	case secExport:
		err = m.readExports(r)
	case secCode:
		err = m.readBodies(r)
	case secGlobal:
		err = bounded32(r.u32(), maxGlobals, "globals")
	case secElement, secData:
		err = bounded32(r.u32(), maxSegments, "segments")
	}
	if err == nil && r.err != nil {
		err = malformed(r.err)
	}
	return err
}

func bounded32(n, limit uint32, what string) error {
	if n > limit {
		return invalid("The module has %d %s; at most %d are allowed.", n, what, limit)
	}
	return nil
}

func (m *inspection) readTypes(r *wasmReader) error {
	n := r.u32()
	if err := bounded32(n, maxTypes, "types"); err != nil {
		return err
	}
	for i := uint32(0); i < n && r.err == nil; i++ {
		if r.byte() != 0x60 && r.err == nil {
			return invalid("Type %d of the module is not a function.", i)
		}
		t := funcType{params: r.bytes(), results: r.bytes()}
		if len(t.params) > maxParams || len(t.results) > maxParams {
			return invalid("Type %d of the module has more than %d parameters or results.", i, maxParams)
		}
		m.types = append(m.types, t)
	}
	return nil
}

func (m *inspection) readImports(r *wasmReader) error {
	n := r.u32()
	if err := bounded32(n, maxImports, "imports"); err != nil {
		return err
	}
	for i := uint32(0); i < n && r.err == nil; i++ {
		module, field, kind := r.bytes(), r.bytes(), r.byte()
		if r.err != nil {
			break
		}
		if kind != 0 {
			return invalid("The module imports %q of %q; only functions may be imported.", name(field), name(module))
		}
		typ := r.u32()
		if err := m.checkImport(string(module), field, typ); err != nil && r.err == nil {
			return err
		}
		m.functions = append(m.functions, typ)
		m.imported++
	}
	return nil
}

func (m *inspection) checkImport(module string, field []byte, typ uint32) error {
	if module != abi.Module {
		return invalid("The module imports %q of %q; only functions of %q may be imported.", name(field), name([]byte(module)), abi.Module)
	}
	for _, s := range abi.Imports() {
		if s.Name != string(field) {
			continue
		}
		if typ >= uint32(len(m.types)) || !m.types[typ].is(s) {
			return invalid("The module imports %q with the wrong signature.", s.Name)
		}
		return nil
	}
	return invalid("The module imports %q, which %s does not have.", name(field), abi.Name)
}

func (m *inspection) readFunctions(r *wasmReader) error {
	n := r.u32()
	if err := bounded32(n, maxFunctions, "functions"); err != nil {
		return err
	}
	for i := uint32(0); i < n && r.err == nil; i++ {
		typ := r.u32()
		if typ >= uint32(len(m.types)) && r.err == nil {
			return invalid("Function %d of the module has an unknown type.", i)
		}
		m.functions = append(m.functions, typ)
	}
	return nil
}

// limits reads the limits of a table or memory; a flag other than "there is a maximum" is refused.
func limits(r *wasmReader, what string) (least uint64, err error) {
	flags := r.byte()
	least = uint64(r.u32())
	if flags&1 != 0 {
		r.u32()
	}
	if flags > 1 && r.err == nil {
		return 0, invalid("The module's %s is shared or has 64-bit addresses.", what)
	}
	return least, nil
}

func readTables(r *wasmReader) error {
	n := r.u32()
	if err := bounded32(n, 1, "tables"); err != nil {
		return err
	}
	if n == 0 {
		return nil
	}
	r.byte()
	least, err := limits(r, "table")
	if err == nil && least > maxTableMin {
		err = invalid("The module's table has %d elements; at most %d are allowed.", least, maxTableMin)
	}
	return err
}

func (m *inspection) readMemories(r *wasmReader) error {
	n := r.u32()
	if err := bounded32(n, 1, "memories"); err != nil || n == 0 {
		return err
	}
	m.memories = 1
	least, err := limits(r, "memory")
	if err == nil && least > maxPages {
		err = invalid("The module asks for %d KiB of memory; at most %d are allowed.", least*(pageSize>>10), maxPages*(pageSize>>10))
	}
	return err
}

func (m *inspection) readExports(r *wasmReader) error {
	n := r.u32()
	if err := bounded32(n, maxExports, "exports"); err != nil {
		return err
	}
	for i := uint32(0); i < n && r.err == nil; i++ {
		field := r.bytes()
		m.exports[string(field)] = export{kind: r.byte(), index: r.u32()}
	}
	return nil
}

func (m *inspection) readBodies(r *wasmReader) error {
	n := r.u32()
	if int(n) != len(m.functions)-m.imported && r.err == nil {
		return invalid("The module declares %d functions and has the code of %d.", len(m.functions)-m.imported, n)
	}
	m.bodies = int(n)
	for i := 0; i < m.bodies && r.err == nil; i++ {
		body := r.bytes()
		if r.err != nil {
			break
		}
		if len(body) > maxBody {
			return invalid("Function %d of the module has %d bytes; at most %d are allowed.", i, len(body), maxBody)
		}
		params := len(m.types[m.functions[m.imported+i]].params)
		if _, err := walkCode(body, uint64(params)); err != nil {
			return invalid("Function %d of the module is refused: %v.", i, err)
		}
	}
	return nil
}

// complete checks what can be known only at the end: the exports, and that all code is there.
func (m *inspection) complete() error {
	if m.memories == 0 {
		return invalid("The module has no memory of its own.")
	}
	if m.bodies != len(m.functions)-m.imported {
		return malformed(fmt.Errorf("%d functions have no code", len(m.functions)-m.imported-m.bodies))
	}
	if e, ok := m.exports[abi.ExportMemory]; !ok || e.kind != 2 {
		return invalid("The module does not export its memory as %q.", abi.ExportMemory)
	}
	for _, want := range abi.Exports() {
		e, ok := m.exports[want.Name]
		switch {
		case !ok && want.Optional:
		case !ok || e.kind != 0:
			return invalid("The module does not export the function %q.", want.Name)
		case e.index >= uint32(len(m.functions)):
			return malformed(fmt.Errorf("the export %q is no function", want.Name))
		default:
			if t := m.functions[e.index]; t >= uint32(len(m.types)) || !m.types[t].is(want.Signature) {
				return invalid("The module exports %q with the wrong signature.", want.Name)
			}
		}
	}
	return nil
}
