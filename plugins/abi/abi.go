package abi

// Name is the contract's name and version.
const Name = "ticketing/1"

// Module is the module name of all imports.
const Module = "ticketing"

// Names of the exports; see the package comment for their signatures.
const (
	ExportMemory     = "memory"
	ExportBuffer     = "tk_buf"
	ExportInit       = "tk_init"
	ExportEval       = "tk_eval"
	ExportInitialize = "_initialize"
)

// Names of the imports.
const (
	ImportField      = "field"
	ImportMatch      = "match"
	ImportRegex      = "regex"
	ImportLabel      = "label"
	ImportDetail     = "detail"
	ImportLog        = "log"
	ImportCounterAdd = "counter_add"
	ImportNow        = "now_ms"
	ImportMatchAll   = "match_all"
	ImportNorm       = "norm"
	ImportHash       = "hash"
	ImportListHas    = "list_has"
	ImportKVGet      = "kv_get"
	ImportKVPut      = "kv_put"
	ImportRandom     = "rand"
)

// Forms of the import norm.
const (
	NormLower    = 1
	NormFolded   = 2 // as match compares
	NormSkeleton = 3 // of confusables, UTS #39
)

// Kinds of the import hash.
const (
	HashText    = 1 // of the folded text
	HashSimilar = 2 // SimHash of the folded text's words
)

// Bounds of one call.
const (
	MaxFrame     = 64 << 10 // bytes of a frame
	MinBuffer    = 4 << 10  // bytes of a guest's input buffer, at least
	MaxLabels    = 32
	MaxLabel     = 64                // bytes
	MaxDetail    = 1 << 10           // bytes
	MaxLog       = 4 << 10           // bytes of log lines per tk_eval
	MaxHostCalls = 1_000             // calls of imports per tk_eval
	MaxKey       = 64                // bytes of the key of a counter or value; a longer one is hashed
	MaxValue     = 4 << 10           // bytes of a value
	MaxKept      = 64 << 10          // bytes of counters and values that one tk_eval writes, as ticketing.CounterSize and ValueSize count
	MaxHits      = 1_000             // that match_all returns
	MaxWindow    = 31 * 24 * 60 * 60 // seconds
	MaxDelta     = 1<<31 - 1
)

// An ErrorCode is a negative result of an import.
type ErrorCode int32

// The error codes.
const (
	NoEntry     ErrorCode = -1 // there is no such field or hit
	Denied      ErrorCode = -2 // not during tk_init, or a field that the manifest does not name
	Limit       ErrorCode = -3 // over a limit
	BadArgument ErrorCode = -4 // no such set, an unknown field, a length below zero…
	TooBig      ErrorCode = -5 // the value is too long
	Unavailable ErrorCode = -6 // the host cannot do this here
)

// A ValueType is the type of a parameter or result, as a module's binary form writes it.
type ValueType byte

// The value types that the contract uses.
const (
	I32 ValueType = 0x7f
	I64 ValueType = 0x7e
)

// A Signature is the type of a function of the contract: its name and the value types, one byte each.
type Signature struct {
	Name    string
	Params  []ValueType
	Results []ValueType
}

// Imports lists the functions that a module may import from [Module].
func Imports() []Signature {
	i32, i64 := []ValueType{I32}, []ValueType{I64}
	two, three := []ValueType{I32, I32}, []ValueType{I32, I32, I32}
	four, five := []ValueType{I32, I32, I32, I32}, []ValueType{I32, I32, I32, I32, I32}
	return []Signature{
		{ImportField, three, i32},
		{ImportMatch, two, i64},
		{ImportRegex, two, i64},
		{ImportLabel, three, i32},
		{ImportDetail, two, i32},
		{ImportLog, three, nil},
		{ImportCounterAdd, []ValueType{I32, I32, I64, I32}, i64},
		{ImportNow, nil, i64},
		{ImportMatchAll, four, i32},
		{ImportNorm, four, i32},
		{ImportHash, two, i64},
		{ImportListHas, two, i32},
		{ImportKVGet, four, i32},
		{ImportKVPut, five, i32},
		{ImportRandom, nil, i64},
	}
}

// An Export is a function that a module must export, or may.
type Export struct {
	Signature
	Optional bool
}

// Exports lists the functions that the host calls.
func Exports() []Export {
	two := []ValueType{I32, I32}
	return []Export{
		{Signature{ExportBuffer, nil, []ValueType{I64}}, false},
		{Signature{ExportEval, two, []ValueType{I64}}, false},
		{Signature{ExportInit, two, []ValueType{I32}}, true},
		{Signature{ExportInitialize, nil, nil}, true},
	}
}
