// Package abi is the contract "ticketing/1" between the host and a rule, which is a core WebAssembly module (no
// component). It holds the constants and the encodings of both sides, and runs nothing.
//
// # Life of an instance
//
// The host instantiates the module (its start section runs), calls _initialize if there is one, then tk_buf once, then
// tk_init once if there is one, and from then on tk_eval once for every item. An instance is used by one goroutine at a time. It
// keeps its memory between items, so a rule may cache, but must not count on it: after any failure, and when its memory
// passes three quarters of the limit, the host throws the instance away and starts a new one. What it says about an item
// must follow from its configuration, the item, and what counters and values answer: decisions are recomputed on fresh
// instances. Golden tests find rules of which that is not so.
//
// # Exports
//
//	memory                                the linear memory; one, not imported, not shared
//	tk_buf() -> i64                       ptr<<32 | cap of the guest's input buffer; cap is at least MinBuffer
//	tk_init(ptr i32, len i32) -> i32      optional: reads its configuration; 0 = ready, anything else refuses it
//	tk_eval(ptr i32, len i32) -> i64      judges the item whose frame lies in the buffer; returns a verdict
//	_initialize()                         optional: constructors of a reactor module
//
// The buffer is the guest's own and stays where it is. ptr is always the buffer's address; what lies in the buffer is
// valid during the call and may be changed by the guest.
//
// # Verdict
//
//	bits 63…60  status    0 ok, 1 abstain, 2 guest error (the rule failed; the code says why)
//	bits 59…56  action    0 none, 1 allow, 2 flag, 3 hold, 4 reject; 0 when the status is not ok
//	bits 55…40  score     0…10000
//	bits 39…32  severity  0…255
//	bits 31…0   code      the rule's own reason code
//
// Zero is "ok, nothing to say". Every other status or action, and a score over 10000, is a failure of the rule. A rule
// with something to say in words calls label and detail before it returns.
//
// # Frame
//
// All numbers are little endian. Later versions of the contract only add fields and flags.
//
//	 0  u16  magic      "TK"
//	 2  u16  version    1
//	 4  u32  flags      bit 0: the item is an edit of an earlier one
//	 8  i64  time       of the event, in ms since 1970: the only time that a rule knows; 0 without the capability time
//	16  u64  seed       the same for every judgement of this revision
//	24  u32  fields     number of entries
//	28  u32  size       of the whole frame, in bytes
//	32       entries    12 bytes each: u16 field, u16 type, u32 offset (from the start of the frame), u32 length
//	         values     in the order of the entries
//
// The low byte of a type is 1 (number: 8 bytes, unsigned), 2 (text: UTF-8, not terminated) or 3 (bytes). Bit 15 is set
// when the value was cut to make the frame fit the buffer, at the boundary of a character; length is then what is left
// and the import field gives the rest. A frame is at most MaxFrame bytes.
//
// Fields that the item does not have (a post has no post ID and no parent), or that the manifest does not name, have no
// entry. Fields, with the manifest's words for them:
//
//	 1  kind             number: 1 post, 2 comment; 3 ticket is reserved: rules do not judge tickets
//	 2  id               bytes, 16: of the post or comment
//	 3  post             bytes, 16: of the post that a comment belongs to
//	 4  parent           bytes, 16: of the comment that is answered
//	 5  title            text
//	 6  text             text
//	 7  author           bytes, 16
//	 8  author_age       number: ms from the account's creation to the event
//	 9  approved         number: items of the author that were approved so far
//	10  rejected         number
//	11  held             number
//	12  reports          number: reports against items of the author
//	13  locale           text: the author's locale when the item was written, a BCP 47 tag such as pt-BR; absent if it is not known
//	14  revision         number: 1 for a new item; over 1 is an edit
//	15  author_name      text
//
// # Imports
//
// All are in module "ticketing". A module that imports anything else (but see WASI below), one of these with another
// signature, or one whose capability its manifest does not name is refused when it is uploaded. The word in brackets is the
// capability; without one the import is free.
//
//	field(field i32, ptr i32, cap i32) -> i32
//	    the value's whole length; copied to ptr only if it fits in cap
//	match(set i32, field i32) -> i64                                                              [match]
//	    the first hit of a set of words in a field: pattern<<32 | offset; -1 for none, also if the field is absent
//	match_all(set i32, field i32, ptr i32, cap i32) -> i32                                        [match]
//	    the number of hits of a set of words in a field, at most 1,000, in the order of their ends and then the longest first;
//	    each is written to ptr as pattern u32, offset u32, as far as cap bytes allow. Overlapping hits all count
//	regex(set i32, field i32) -> i64                                                              [regex]
//	    the same as match for a set of regular expressions
//	norm(form i32, field i32, ptr i32, cap i32) -> i32                                            [norm]
//	    a text in another form: 1 lower case, 2 folded as match compares, 3 the skeleton of UTS #39, which is the same for texts
//	    that look alike; returns the whole length, copied to ptr only if it fits in cap
//	hash(kind i32, field i32) -> i64                                                              [hash]
//	    kind 1: a 64-bit hash of the folded text. kind 2: a 64-bit SimHash of the folded text's words, taken three at a time:
//	    texts that are nearly the same differ in few bits. Every number but the error codes may be a hash
//	list_has(list i32, field i32) -> i32                                                          [lists]
//	    1 if the field's folded value is an entry of a list of the configuration, else 0
//	label(ptr i32, len i32, score i32) -> i32
//	    adds a label (1…64 bytes of UTF-8); score 0…10000 is the rule's confidence, for logs
//	detail(ptr i32, len i32) -> i32
//	    sets the sentence that the author and the moderators read (up to 1 KiB of UTF-8); the last call counts
//	log(level i32, ptr i32, len i32)                                                              [log]
//	    writes a line that operators can read; level 0 debug, 1 info, 2 warning, 3 error; the bytes of one call of tk_eval
//	    are limited (4 KiB, if nobody sets another limit), the rest is dropped
//	counter_add(ns i32, key i32, delta i64, window i32) -> i64                                    [counters]
//	    adds delta to the counter that the rule keeps under the number ns for the value of the field key, and returns its
//	    sum over the last window seconds of event time (1 … 31 days), this one included; a sum under 0 is returned as 0.
//	    |delta| is at most 2^31-1. Counters live in the slot of the item's author, one of 1,024 in which all authors are: one that is
//	    keyed by text counts what this author and the others of the slot wrote. A key of more than 64 bytes is replaced by its
//	    sha256. What a call adds is taken back if the call fails. -3 if there is no room, see Memory
//	kv_get(key i32, key_len i32, ptr i32, cap i32) -> i32                                         [kv]
//	    the whole length of the value that the rule keeps under a key, copied to ptr only if it fits in cap; -1 for none
//	kv_put(key i32, key_len i32, val i32, val_len i32, ttl i32) -> i32                            [kv]
//	    keeps up to 4 KiB under a key for ttl seconds of event time, for good if ttl is 0; val and val_len 0 remove it. A key
//	    of more than 64 bytes is replaced by its sha256; an empty one is -4. Values are the rule's alone and live, as counters
//	    do, in the slot of the item's author: authors of one slot share them, so a rule that wants a value per author puts
//	    the author's ID into the key. What a call puts is taken back if the call fails. -3 if there is no room, see Memory
//	rand() -> i64                                                                                 [rand]
//	    the next number of a generator that is seeded by the event's seed and the rule's name
//	now_ms() -> i64                                                                               [time]
//	    the event's time, as in the frame
//
// Errors are negative results: -1 there is no such thing, -2 not allowed (now, or by the manifest), -3 over a limit, -4 makes
// no sense, -5 too big, -6 not available. During _initialize and tk_init only log works; the others answer -2 (now_ms and rand answer
// 0). Some mistakes end the call as a failure of the rule: a pointer outside of the memory, more than 32 labels, a label or detail
// that is too long, and more calls of imports in one tk_eval than the rule may make (1,000, if nobody sets another limit).
//
// # Memory
//
// What a rule keeps in one slot is at most 1 MiB, and what one tk_eval writes at most 64 KiB: a counter counts 64 bytes and its key, a
// value 64 bytes, its key and its own. Past either counter_add of a counter that is new, kv_put of anything, and within one tk_eval every
// counter_add answer -3 and change nothing. What a tk_eval gets from its memory is kept with the decision; a call that gets more than 64 KiB
// fails. Values whose time is over and counters whose window is empty are removed while rules write,
// a few at a time, and count until then; a memory that is full has room again some items after something in it has ended.
//
// # WASI
//
// With the capability wasi a module may import all of WASI preview 1, which is a shim that denies by default: fd_write to 1 and
// 2 logs (lines, if the capability log is named too), clock_time_get gives the event's time (a fixed one without the capability
// time), random_get draws from the generator of rand, arguments and environment are empty, sched_yield and poll_oneoff return at
// once, proc_exit is a failure of the rule, and everything else answers that there is no such file or function. It is there so that the
// runtimes of languages start: stock Go does (GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared).
//
// # Manifest
//
// A custom section named ticketing.manifest holds a JSON object that says what the module is and asks for; it is read without
// running anything:
//
//	name          as the plugin is named
//	version       the author's own, like "1.2.0"
//	abi           "ticketing/1"
//	description   a sentence or two
//	fields        the words of the fields that the frame shall hold; field, match and the like answer -2 for others
//	capabilities  the words in brackets above
//	config        JSON Schema (draft 2020-12) of the configuration: not in circles, at most 10,000 parts when every
//	              reference is written out, regular expressions of at most 2,000 instructions, no dynamic references
//	matchIn       texts among fields: tk_eval is called only for items in which one of the configuration's words (its member
//	              match) is found in one of these. About all others the rule has nothing to say, which is what a verdict of
//	              zero says. It pays for the search as if it had called match for each of them, and not again when it does
//	limits        what the module needs at most, if less than is usual; of memory it may be more. What else exceeds the
//	              usual (10 million units of fuel, 20 ms, 1,000 calls of imports) an operator has to allow in the rule's
//	              limits; see ticketing.RuleLimits
//	golden        tests that must pass on a server before the version may judge there, on a fresh instance and, with the
//	              same verdict, on one that has judged others of them; see ticketing.GoldenCase
//
// name and abi must be there. A module without the section (the contract's first form) has all fields and what its imports need.
//
// # Configuration
//
// The configuration of a rule is a JSON object. Three kinds of member are known to the host:
//
//	"match": [
//	    ["some", "words"],
//	    {"words": ["free*", "check out"], "domains": ["example.com"], "label": "anything"}
//	],
//	"regex": [
//	    ["(?i)\\bx+\\b"],
//	    {"patterns": ["…"], "label": "anything"}
//	],
//	"lists": [
//	    ["whole", "values"],
//	    {"entries": ["…"], "label": "anything"}
//	]
//
// The n-th element of match is the word set number n of the imports match and match_all, the n-th of regex the set of the
// import regex, the n-th of lists the list of the import list_has.
// A set is a list, or an object with the list under words and domains, patterns, or entries. The host compiles the lists and takes
// them out; the guest gets the rest of the configuration, compacted, in tk_init: a set given as a list has become {}, an
// object keeps its other members, which is where a rule can put what it wants to know about a set. Everything else in the
// object is the rule's own.
//
// A word matches if it stands alone: no letter, digit or mark before or behind it. A leading or trailing * takes that
// condition away on its side ("free*" finds "freedom", "*" alone is refused). Words and text are compared folded: lower
// case, NFKC, without invisible characters, and every run of white space is one space, so a word can be a phrase. A domain
// matches itself and everything below it, in any spelling of a link: "example.com" finds "http://www.Example.com/x" but
// neither "badexample.com" nor "example.com.org". Patterns are numbered in their set from 0, words before domains; of
// several hits the one that ends first counts, then the longest. The offset is where the hit starts in the field, in
// bytes. A word that is in its set twice counts once, with the first number. At most 128 words may be endings of the same
// one, with the words that are equal in several sets; the most that are is what a byte of a text costs two units each.
//
// Regular expressions are RE2 as in Go, run on the field as it is, on its first 64 KiB; of several patterns that hit, the
// lowest number counts. Those of a set have at most 2,000 instructions together (compiled: about one for each character, times
// what is repeated); a byte of the text costs 16 units, and one for each two of them.
package abi
