// Package rule is what a moderation rule in Go is written with: an author writes one function from an item to a verdict and
// registers it. The contract with the host, "ticketing/1", is documented in docs/ABI.md.
//
//	package main
//
//	import rule "…"
//
//	func init() { rule.Register(judge) }
//	func main() {}
//
//	func judge(item rule.Item) rule.Verdict {
//		if _, ok := rule.Match(0, rule.Text); ok {
//			return rule.Hold("It contains a word that a person should look at.")
//		}
//		return rule.None()
//	}
//
// It builds with Go alone: GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared. The package needs the standard library
// only, and in other builds it answers unit tests: see Host.
//
// A module is one rule and an instance has one caller, so what is registered is kept in variables of the package.
package rule

import (
	"errors"
	"unicode/utf8"
)

// An Action is what a rule wants to happen to an item, mildest first.
type Action uint8

// The actions.
const (
	ActionNone   Action = iota // nothing to say against it
	ActionAllow                // explicitly fine
	ActionFlag                 // published, but labelled
	ActionHold                 // a human decides
	ActionReject               // not published
)

// A Verdict is what a rule answers. The zero value is None.
type Verdict struct {
	Action   Action
	Score    uint16 // 0…10000
	Severity uint8
	Code     uint32 // the rule's own reason code
	Labels   []string
	Detail   string // one sentence for the author and the moderators, up to 1 KiB

	status uint8
}

// The statuses of a verdict, as the contract has them.
const (
	statusOK = iota
	statusAbstain
	statusError
)

// None is the verdict of a rule that has nothing to say against an item.
func None() Verdict { return Verdict{} }

// Allow is the verdict that an item is explicitly fine.
func Allow() Verdict { return Verdict{Action: ActionAllow} }

// Flag lets an item be published with labels.
func Flag(labels ...string) Verdict { return Verdict{Action: ActionFlag, Labels: labels} }

// Hold leaves an item to a human; detail says why.
func Hold(detail string) Verdict { return Verdict{Action: ActionHold, Detail: detail} }

// Reject keeps an item from being published; detail says why.
func Reject(detail string) Verdict { return Verdict{Action: ActionReject, Detail: detail} }

// Abstain is the verdict of a rule that has no opinion about this item.
func Abstain() Verdict { return Verdict{status: statusAbstain} }

// Fail says that the rule could not judge; the operator's failure policy decides about the item. The code says why.
func Fail(code uint32) Verdict { return Verdict{status: statusError, Code: code} }

// Labelled returns the verdict with labels added, each of 1 to 64 bytes and up to 32; what is longer is cut, and logged.
func (v Verdict) Labelled(labels ...string) Verdict {
	v.Labels = append(v.Labels, labels...)
	return v
}

// Scored returns the verdict with a score of 0 to 10000.
func (v Verdict) Scored(score uint16) Verdict {
	v.Score = score
	return v
}

// Coded returns the verdict with a reason code.
func (v Verdict) Coded(code uint32) Verdict {
	v.Code = code
	return v
}

// The bounds that the contract has for what goes with a verdict, which would fail the call as a whole.
const (
	maxScore  = 10_000
	maxLabels = 32
	maxLabel  = 64      // bytes
	maxDetail = 1 << 10 // bytes
)

// fitted returns the verdict within the contract's bounds, and tells of everything that it had to change.
func (v Verdict) fitted(tell func(line string)) Verdict {
	if v.Score > maxScore {
		tell("the score is over 10000, and was made 10000")
		v.Score = maxScore
	}
	if len(v.Detail) > maxDetail {
		tell("the detail is over 1024 bytes, and was cut")
		v.Detail = cut(v.Detail, maxDetail)
	}
	labels := make([]string, 0, len(v.Labels))
	for _, l := range v.Labels {
		switch {
		case l == "":
			tell("an empty label was left out")
			continue
		case len(labels) == maxLabels:
			tell("there are over 32 labels, and the rest was left out")
			v.Labels = labels
			return v
		case len(l) > maxLabel:
			tell("a label is over 64 bytes, and was cut: " + cut(l, maxLabel))
			l = cut(l, maxLabel)
		}
		labels = append(labels, l)
	}
	v.Labels = labels
	return v
}

// cut returns the beginning of a text, in whole characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// pack returns the verdict as tk_eval does. Only a verdict that is ok has an action.
func (v Verdict) pack() uint64 {
	bits := uint64(v.status)<<60 | uint64(v.Score)<<40 | uint64(v.Severity)<<32 | uint64(v.Code)
	if v.status == statusOK {
		bits |= uint64(v.Action&15) << 56
	}
	return bits
}

var (
	start func(config []byte) error // reads the configuration; nil: there is none to read
	judge func(Item) Verdict
)

// Register makes judge the module's rule. Call it in an init function. The item, and every text and slice that comes of it,
// ends with the call: clone what is to stay. A verdict must not follow from what variables keep of items before, nor from the
// order of a map: decisions are recomputed on fresh instances, and golden tests fail a rule of which that is not so.
func Register(judges func(item Item) Verdict) { judge = judges }

// Start readies the registered rule with a configuration, as the host does once in each instance. Unit tests call it.
func Start(config []byte) error {
	if start != nil {
		return start(config)
	}
	if judge == nil {
		return errors.New("no rule is registered: call rule.Register in an init function")
	}
	return nil
}

// Judge asks the registered rule, as the host does for every item. Unit tests call it.
func Judge(item Item) Verdict { return judge(item) }
