package meter

import "time"

// Limits bounds what static admission lets through. They exist because time and memory of decoding, compiling and
// instantiating grow with these numbers, some of them faster than linearly. A field that is zero takes its default.
type Limits struct {
	ModuleBytes         int           // of the whole module
	BodyBytes           int           // of one function's code
	Locals              int           // of one function, with its parameters
	Branches            int           // of one function: blocks, ifs, br, br_if and every target of br_table; loops and bulk instructions count as 4
	LocalsTimesBranches int           // of one function: locals and values on the stack, added up over its branches: what a compiler's allocation of registers pays for
	Compile             time.Duration // of any module, the estimate of what compiling it takes on one core ([Module])…
	CompileMiB          time.Duration // …and this much more for each MiB of it
	Nesting             int           // blocks inside each other
	Functions           int           // that the module defines
	Types               int
	Params              int // of one type, and as many results
	Imports             int
	Exports             int
	Globals             int
	Tables              int
	TableElements       int // least sizes of all tables together; no table grows
	MemoryPages         int // least size of the memory, in pages of 64 KiB
	DataSegments        int
	ElementSegments     int
	CallDepth           int // calls inside each other at run time; functions that call nothing do not count
}

// DefaultLimits returns the limits of a server that sets none.
func DefaultLimits() Limits {
	return Limits{
		ModuleBytes:         4 << 20,
		BodyBytes:           64 << 10,
		Locals:              512,
		Branches:            4_096,
		LocalsTimesBranches: 200_000,
		Compile:             time.Second,
		CompileMiB:          1_250 * time.Millisecond,
		Nesting:             1_000,
		Functions:           20_000,
		Types:               2_000,
		Params:              64,
		Imports:             128,
		Exports:             1_000,
		Globals:             1_000,
		Tables:              16,
		TableElements:       65_536,
		MemoryPages:         1_024, // 64 MiB; how much of it a rule gets is for the runtime to say
		DataSegments:        100_000,
		ElementSegments:     4_000,
		CallDepth:           512,
	}
}

// filled returns the limits with defaults in the place of zeros.
func (l Limits) filled() Limits {
	d := DefaultLimits()
	for _, f := range []struct{ field, standard *int }{
		{&l.ModuleBytes, &d.ModuleBytes},
		{&l.BodyBytes, &d.BodyBytes},
		{&l.Locals, &d.Locals},
		{&l.Branches, &d.Branches},
		{&l.LocalsTimesBranches, &d.LocalsTimesBranches},
		{&l.Nesting, &d.Nesting},
		{&l.Functions, &d.Functions},
		{&l.Types, &d.Types},
		{&l.Params, &d.Params},
		{&l.Imports, &d.Imports},
		{&l.Exports, &d.Exports},
		{&l.Globals, &d.Globals},
		{&l.Tables, &d.Tables},
		{&l.TableElements, &d.TableElements},
		{&l.MemoryPages, &d.MemoryPages},
		{&l.DataSegments, &d.DataSegments},
		{&l.ElementSegments, &d.ElementSegments},
		{&l.CallDepth, &d.CallDepth},
	} {
		if *f.field == 0 {
			*f.field = *f.standard
		}
	}
	for _, f := range []struct{ field, standard *time.Duration }{{&l.Compile, &d.Compile}, {&l.CompileMiB, &d.CompileMiB}} {
		if *f.field == 0 {
			*f.field = *f.standard
		}
	}
	return l
}
