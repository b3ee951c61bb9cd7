// Package abi is the contract "ticketing/1" between the host and a rule, which is a core WebAssembly module (no
// component, no WASI). It holds the constants and the encodings of both sides, and runs nothing.
//
// # Life of an instance
//
// The host instantiates the module (its start section runs), calls _initialize if there is one, then tk_buf once, then
// tk_init once if there is one, and from then on tk_eval once for every item. An instance is used by one goroutine. It
// keeps its memory between items, so a rule may cache, but must not count on it: after any failure, and when its memory
// passes three quarters of the limit, the host throws the instance away and starts a new one.
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
//	 8  i64  time       of the event, in ms since 1970: the only time that a rule knows
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
// Fields that the item does not have (a post has no post ID and no parent) have no entry. Fields:
//
//	 1  kind             number: 1 post, 2 comment, 3 ticket
//	 2  id               bytes, 16: of the post, comment or ticket
//	 3  post             bytes, 16: of the post that a comment belongs to
//	 4  parent           bytes, 16: of the comment that is answered
//	 5  title            text
//	 6  text             text
//	 7  author           bytes, 16
//	 8  author age       number: ms from the account's creation to the event
//	 9  author approved  number: items of the author that were approved so far
//	10  author rejected  number
//	11  author held      number
//	12  author reports   number: reports against items of the author
//	13  locale           text: reserved, never set yet
//	14  revision         number: 1 for a new item; over 1 is an edit
//	15  author name      text
//
// # Imports
//
// All are in module "ticketing". A module that imports anything else, or one of these with another signature, is refused
// when it is uploaded.
//
//	field(field i32, ptr i32, cap i32) -> i32
//	    the value's whole length; copied to ptr only if it fits in cap
//	match(set i32, field i32) -> i64
//	    the first hit of a set of words in a field: pattern<<32 | offset; -1 for none, also if the field is absent
//	regex(set i32, field i32) -> i64
//	    the same for a set of regular expressions
//	label(ptr i32, len i32, score i32) -> i32
//	    adds a label (1…64 bytes of UTF-8); score 0…10000 is the rule's confidence, for logs
//	detail(ptr i32, len i32) -> i32
//	    sets the sentence that the author and the moderators read (up to 1 KiB of UTF-8); the last call counts
//	log(level i32, ptr i32, len i32)
//	    writes a debug line; 4 KiB per call of tk_eval, the rest is dropped
//	counter_add(ns i32, key i32, delta i64, window i32) -> i64
//	    adds delta to the counter that the rule keeps under the number ns for the value of the field key, and returns its
//	    sum over the last window seconds of event time (1 … 31 days), this one included; a sum under 0 is returned as 0.
//	    |delta| is at most 2^31-1. Counters live with the item's author: one that is keyed by text counts what this author
//	    (and those who share its storage) wrote. A key of more than 64 bytes is replaced by its sha256. What a call adds
//	    is taken back if the call fails.
//	now_ms() -> i64
//	    the event's time, as in the frame
//
// Errors are negative results: -1 there is no such thing, -2 not allowed now, -3 over a limit, -4 makes no sense, -5 too
// big, -6 not available. During _initialize and tk_init only log works; the others answer -2 (now_ms answers 0). Some
// mistakes end the call as a failure of the rule: a pointer outside of the memory, more than 32 labels, a label or detail
// that is too long, and more than 1,000 calls of imports in one tk_eval.
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
//	]
//
// The n-th element of match is the word set number n of the import match, the n-th of regex the set of the import regex.
// A set is a list, or an object with the list under words and domains, or patterns. The host compiles the lists and takes
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
// bytes.
//
// Regular expressions are RE2 as in Go, run on the field as it is, on its first 64 KiB; of several patterns that hit, the
// lowest number counts.
package abi
