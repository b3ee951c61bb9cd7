// Package conformance is what a guest in any language must do to speak the contract: one table of orders and answers. A
// language joins by a guest that obeys the orders (the item's title; its text is the argument), and a row in Guests.
package conformance

import (
	"strings"

	"ticketing"
	"ticketing/plugins/abi"
)

// Config is the configuration under which the cases run.
const Config = `{"match": [["alpha", "beta*"]], "regex": [["x+y", "[0-9]{3}"]], "lists": [["Entry", "other"]], "accept": 1}`

// None is the code that stands for a negative answer.
const None = 1<<32 - 1

// A Case is an order and what must come of it. A failure is the beginning of its cause.
type Case struct {
	Shows       string // what is checked; several cases may show one thing
	Title, Text string
	Edit        bool
	Want        ticketing.RuleOutcome // Action, Score, Severe, Code, Labels, Detail, Abstain
	Failure     string                // "" : none; else one of the causes, separated by |
	Cut         bool                  // where the language's package cuts what would fail, Want is right, too
}

func code(n uint32) ticketing.RuleOutcome { return ticketing.RuleOutcome{Code: n} }

func text(s string) ticketing.RuleOutcome {
	return ticketing.RuleOutcome{Code: uint32(len(s)), Detail: s}
}

// Cases are the orders, in their order: some need what one before has stored.
func Cases() []Case {
	return []Case{
		{Shows: "no verdict, and abstaining", Title: "none"},
		{Shows: "no verdict, and abstaining", Title: "abstain", Want: ticketing.RuleOutcome{Abstain: true}},
		{Shows: "action, score, severity, code, labels and detail", Title: "everything", Want: ticketing.RuleOutcome{Action: ticketing.ActionReject, Score: 1234, Severe: 56, Code: 78, Labels: []string{"first", "second"}, Detail: "why"}},
		{Shows: "texts in any script", Title: "text", Text: "Grüße, 世界", Want: text("Grüße, 世界")},
		{Shows: "fields of the frame", Title: "kind", Text: "x", Want: code(uint32(ticketing.KindComment))},
		{Shows: "fields of the frame", Title: "approved", Text: "x", Want: code(4)},
		{Shows: "edits", Title: "edit", Text: "x", Want: code(0)},
		{Shows: "edits", Title: "edit", Text: "x", Edit: true, Want: code(1)},
		{Shows: "the item's time", Title: "time", Text: "x", Want: code(1_767_268_800)},
		{Shows: "fields that the item lacks", Title: "has parent", Text: "x", Want: code(0)},
		{Shows: "fields that the manifest does not name", Title: "has name", Text: "x", Want: code(0)},
		{Shows: "match: words and beginnings of words", Title: "match", Text: "an ALPHA", Want: code(0)},
		{Shows: "match: words and beginnings of words", Title: "match", Text: "the betamax", Want: code(1)},
		{Shows: "match: words and beginnings of words", Title: "match", Text: "alphabet", Want: code(None)},
		{Shows: "match_all: every hit", Title: "match_all", Text: "alpha beta alpha", Want: code(3)},
		{Shows: "match_all: every hit", Title: "match_all", Text: "gamma", Want: code(0)},
		{Shows: "regex", Title: "regex", Text: "call 555", Want: code(1)},
		{Shows: "regex", Title: "regex", Text: "nothing", Want: code(None)},
		{Shows: "norm: lower, folded, skeleton", Title: "lower", Text: "ÄB", Want: text("äb")},
		{Shows: "norm: lower, folded, skeleton", Title: "folded", Text: "ＡＢ\u200bc", Want: text("abc")},
		{Shows: "norm: lower, folded, skeleton", Title: "skeleton", Text: "p\u0430yp\u0430l", Want: text("paypal")},
		{Shows: "list_has", Title: "list", Text: "ENTRY", Want: code(1)},
		{Shows: "list_has", Title: "list", Text: "no entry", Want: code(0)},
		{Shows: "log", Title: "log", Text: "x"},
		{Shows: "kv_get, kv_put: a value, and its end", Title: "kv_get", Text: "x", Want: code(None)},
		{Shows: "kv_get, kv_put: a value, and its end", Title: "kv_put", Text: "a value"},
		{Shows: "kv_get, kv_put: a value, and its end", Title: "kv_get", Text: "x", Want: text("a value")},
		{Shows: "kv_get, kv_put: a value, and its end", Title: "kv_delete", Text: "x"},
		{Shows: "kv_get, kv_put: a value, and its end", Title: "kv_get", Text: "x", Want: code(None)},
		{Shows: "counter_add, also after failures", Title: "count", Text: "x", Want: code(1)},
		{Shows: "counter_add, also after failures", Title: "count", Text: "x", Want: code(2)},
		{Shows: "a trap", Title: "trap", Text: "x", Failure: "trap|exit"},
		{Shows: "calls of the host without end", Title: "loop", Text: "x", Failure: "too many host calls"},
		{Shows: "a loop without end", Title: "spin", Text: "x", Failure: "fuel"},
		{Shows: "an error of its own", Title: "error", Text: "x", Failure: "guest error 42"},
		{Shows: "a verdict that is none", Title: "bad verdict", Text: "x", Failure: "bad output"},
		{Shows: "a label that is too long", Title: "long label", Text: "x", Failure: "bad output", Cut: true, Want: ticketing.RuleOutcome{Action: ticketing.ActionFlag, Labels: []string{strings.Repeat("x", 64)}}},
		{Shows: "counter_add, also after failures", Title: "count", Text: "x", Want: code(3)}, // after failures, the state is what it was
	}
}

// Guests are the languages of the suite.
func Guests() []string { return []string{"c", "go"} }

// Equal orders answer alike in every language: their codes are the host's.
func Equal() []string { return []string{"hash", "simhash", "rand"} }

// ABI is the contract that the suite is about.
const ABI = abi.Name
