package meter

import "time"

// A ValueType is the type of a value, as the binary form writes it.
type ValueType = byte

// The value types of core WebAssembly 2.0.
const (
	I32       ValueType = 0x7f
	I64       ValueType = 0x7e
	F32       ValueType = 0x7d
	F64       ValueType = 0x7c
	V128      ValueType = 0x7b
	FuncRef   ValueType = 0x70
	ExternRef ValueType = 0x6f
)

// A FuncType is the type of a function. Its bytes are the module's: nobody may change them.
type FuncType struct{ Params, Results []ValueType }

// An Import is a function that the module wants from its host.
type Import struct {
	Module, Name string
	Type         FuncType
}

// A Kind is what an export is.
type Kind byte

// The kinds of exports.
const (
	KindFunction Kind = iota
	KindTable
	KindMemory
	KindGlobal
)

func (k Kind) String() string {
	if names := [...]string{"function", "table", "memory", "global"}; int(k) < len(names) {
		return names[k]
	}
	return "unknown thing"
}

// An Export is something that the module shows its host.
type Export struct {
	Name  string
	Kind  Kind
	Index uint32
	Type  FuncType // of a function
}

// A Memory is a module's own memory, in pages of 64 KiB.
type Memory struct {
	Min    uint32
	Max    uint32 // if HasMax
	HasMax bool
}

// Module is what is known of a module without running it. Indices are those of the module before it was rewritten. Names and
// bytes point into the module's own bytes.
type Module struct {
	Imports   []Import
	Exports   []Export
	Memory    *Memory // nil if it has none
	Functions int     // that it defines
	Globals   int
	Compile   time.Duration // an estimate of what compiling it takes on one core, for code at its worst; usual code takes a third
	Start     bool          // whether it had a start function, which a rewritten module exports as [StartExport]
	customs   []custom
}

type custom struct {
	name string
	data []byte
}

// Custom returns the custom sections of a name, in order.
func (m *Module) Custom(name string) [][]byte {
	var found [][]byte
	for _, c := range m.customs {
		if c.name == name {
			found = append(found, c.data)
		}
	}
	return found
}

// Export finds an export by name.
func (m *Module) Export(name string) (Export, bool) {
	for _, e := range m.Exports {
		if e.Name == name {
			return e, true
		}
	}
	return Export{}, false
}
