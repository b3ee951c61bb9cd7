package abi

import (
	"slices"

	"ticketing"
)

// Capabilities is a set of the host's abilities that a module may use.
type Capabilities uint16

// The capabilities. Each has a word, by which a manifest asks for it.
const (
	CanMatch    Capabilities = 1 << iota // match, match_all
	CanRegex                             // regex
	CanNorm                              // norm
	CanHash                              // hash
	CanList                              // list_has
	CanCount                             // counter_add
	CanKeep                              // kv_get, kv_put
	CanRandom                            // rand
	CanTellTime                          // now_ms, the frame's time, WASI's clock
	CanLog                               // log
	CanWASI                              // the imports of WASIModule
)

// AllCapabilities is every capability that there is.
const AllCapabilities = CanWASI<<1 - 1

var capabilityWords = [...]string{"match", "regex", "norm", "hash", "lists", "counters", "kv", "rand", "time", "log", "wasi"}

// CapabilitiesOf reads a manifest's words; one that is unknown or given twice is Invalid.
func CapabilitiesOf(words []string) (Capabilities, error) {
	var set Capabilities
	for _, w := range words {
		i := slices.Index(capabilityWords[:], w)
		switch {
		case i < 0:
			return 0, ticketing.Errorf(ticketing.Invalid, "There is no capability %q.", short(w))
		case set.Has(1 << i):
			return 0, ticketing.Errorf(ticketing.Invalid, "The capability %q is named twice.", w)
		}
		set |= 1 << i
	}
	return set, nil
}

// Has reports whether all of want are in the set.
func (c Capabilities) Has(want Capabilities) bool { return c&want == want }

// Words returns the manifest's words for the set, in the order of the constants.
func (c Capabilities) Words() []string {
	var words []string
	for i, w := range capabilityWords {
		if c.Has(1 << i) {
			words = append(words, w)
		}
	}
	return words
}

// importNeeds is what the imports of [Module] need; those that are not in it are free.
var importNeeds = map[string]Capabilities{
	ImportMatch: CanMatch, ImportMatchAll: CanMatch, ImportRegex: CanRegex, ImportNorm: CanNorm, ImportHash: CanHash,
	ImportListHas: CanList, ImportCounterAdd: CanCount, ImportKVGet: CanKeep, ImportKVPut: CanKeep, ImportRandom: CanRandom,
	ImportNow: CanTellTime, ImportLog: CanLog,
}

// Needs returns what an import of a module needs, 0 for nothing.
func Needs(module, name string) Capabilities {
	if module == WASIModule {
		return CanWASI
	}
	return importNeeds[name]
}

// short cuts what a module's author wrote, for messages.
func short(s string) string { return s[:min(len(s), 64)] }
