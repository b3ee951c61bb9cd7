package rule

import (
	"encoding/binary"
	"time"
)

// Match finds the first hit of a word set, the n-th of the configuration's member "match", in a text. pattern is the number
// of the word in its set. It needs the capability "match".
func Match(set int, f Field) (pattern int, ok bool) { return hit(hostMatch(int32(set), f)) }

// Regex is Match for the expressions of the member "regex". It needs the capability "regex".
func Regex(set int, f Field) (pattern int, ok bool) { return hit(hostRegex(int32(set), f)) }

func hit(result int64) (int, bool) {
	if result < 0 {
		return 0, false
	}
	return int(result >> 32), true
}

// A Hit is one place where a word was found.
type Hit struct {
	Pattern int // number in the set
	Offset  int // in bytes of the field
}

// MatchAll appends the hits of a word set in a text, up to 1,000. It needs the capability "match".
func MatchAll(hits []Hit, set int, f Field) []Hit {
	raw := grow(func(buf []byte) int32 {
		n := hostMatchAll(int32(set), f, buf)
		return max(n, 0) * 8
	})
	for ; len(raw) >= 8; raw = raw[8:] {
		hits = append(hits, Hit{int(binary.LittleEndian.Uint32(raw)), int(binary.LittleEndian.Uint32(raw[4:]))})
	}
	return hits
}

// A Form is a way to write a text so that it can be compared.
type Form int32

// The forms.
const (
	Lower    Form = iota + 1 // lower case
	Folded                   // as Match compares: lower case, NFKC, without invisible characters
	Skeleton                 // folded, and letters that look alike are one (Unicode Technical Standard 39)
)

// Normalized returns a text in a form. It needs the capability "norm".
func Normalized(form Form, f Field) string {
	return string(grow(func(buf []byte) int32 { return hostNorm(form, f, buf) }))
}

// Hash returns a hash of the folded text, and SimHash one of which near-duplicates differ in few bits. 0 if the item does not
// have the field. They need the capability "hash".
func Hash(f Field) uint64    { return hashed(1, f) }
func SimHash(f Field) uint64 { return hashed(2, f) }

// hashed takes the contract's six error codes for no hash: a text has one of them as its hash less than once in 2^61.
func hashed(kind int32, f Field) uint64 {
	if h := hostHash(kind, f); h < -6 || h >= 0 {
		return uint64(h)
	}
	return 0
}

// ListHas reports whether a field's folded value is an entry of a list, the n-th of the configuration's member "lists". It
// needs the capability "lists".
func ListHas(list int, f Field) bool { return hostListHas(int32(list), f) == 1 }

// Count adds delta to the counter under the number ns for the value of the field key, and returns its sum over the last
// window, which is cut to whole seconds (1 s to 31 days). ok is false if it does not work, as when the item has no such field,
// or the rule's memory is full and the counter would be a new one. Counters live in the slot of the item's author, one of 1,024
// in which all authors are: by Author it counts what this author wrote, by Text what this author and the others of the slot wrote.
// It needs the capability "counters".
func Count(ns uint32, key Field, delta int64, window time.Duration) (sum int64, ok bool) {
	n := hostCounterAdd(int32(ns), key, delta, int32(window/time.Second))
	return max(n, 0), n >= 0
}

// Get returns a copy of what the rule stored under a key in the slot of the item's author, nil if there is nothing; see Put. It needs
// the capability "kv".
func Get(key string) []byte {
	return grow(func(buf []byte) int32 { return hostGet(key, buf) })
}

// Put stores up to 4 KiB under a key for a time, which is rounded up to whole seconds, for good if ttl is 0, and reports whether it
// did: the rule's memory may be full. Values live in the slot of the item's author, as counters do, and the authors of a slot share
// them: a rule that wants one per author puts the author's identity into the key. It needs the capability "kv".
func Put(key string, value []byte, ttl time.Duration) bool {
	if len(value) == 0 {
		value = []byte{}
	}
	return hostPut(key, value, int32((ttl+time.Second-1)/time.Second)) == 0
}

// Delete removes what is stored under a key in the slot of the item's author.
func Delete(key string) { hostPut(key, nil, 0) }

// Rand returns the next number of a generator that begins from the item and the rule's name. It needs the capability "rand".
func Rand() uint64 { return uint64(hostRand()) }

// A Level is how important a line of the log is.
type Level int32

// The levels.
const (
	Debug Level = iota
	Info
	Warn
	Error
)

// Log writes a line for operators; 4 KiB for each item. It needs the capability "log".
func Log(level Level, line string) { hostLog(level, line) }
