// Command guest is the guest of the conformance suite in Go. The title is the order, the answer is in the code (a number) or
// in the detail (a text). Every language's guest does the same; the orders are in plugins/conformance/cases.go.
package main

import (
	"strings"
	"time"

	rule "ticketing/plugins/sdk/go"
)

type config struct {
	Accept int `json:"accept"`
}

func init() {
	rule.RegisterConfigured(func(c config) (func(rule.Item) rule.Verdict, error) {
		if c.Accept != 0 && c.Accept != 1 {
			return nil, errRefused
		}
		return judge, nil
	})
}

type refused string

func (r refused) Error() string { return string(r) }

const errRefused = refused("accept must be 1")

func main() {}

func code(n uint64) rule.Verdict { return rule.None().Coded(uint32(n)) }

func text(s string) rule.Verdict {
	v := code(uint64(len(s)))
	v.Detail = s[:min(len(s), 1024)]
	return v
}

func hit(pattern int, ok bool) rule.Verdict {
	if !ok {
		return code(1<<32 - 1)
	}
	return code(uint64(pattern))
}

func yes(b bool) rule.Verdict {
	if b {
		return code(1)
	}
	return code(0)
}

func judge(item rule.Item) rule.Verdict {
	switch item.Title() {
	case "none":
		return rule.None()
	case "abstain":
		return rule.Abstain()
	case "everything":
		return rule.Verdict{Action: rule.ActionReject, Score: 1234, Severity: 56, Code: 78, Labels: []string{"first", "second"}, Detail: "why"}
	case "text":
		return text(item.Text())
	case "whole":
		return code(uint64(len(item.Whole(rule.Text))))
	case "kind":
		return code(uint64(item.Kind()))
	case "approved":
		return code(item.Number(rule.Approved))
	case "edit":
		return yes(item.Edit())
	case "time":
		return code(uint64(item.Time().Unix()))
	case "has parent":
		return yes(item.Has(rule.Parent))
	case "has name":
		return yes(item.Has(rule.AuthorName))
	case "match":
		return hit(rule.Match(0, rule.Text))
	case "match_all":
		return code(uint64(len(rule.MatchAll(nil, 0, rule.Text))))
	case "regex":
		return hit(rule.Regex(0, rule.Text))
	case "lower":
		return text(rule.Normalized(rule.Lower, rule.Text))
	case "folded":
		return text(rule.Normalized(rule.Folded, rule.Text))
	case "skeleton":
		return text(rule.Normalized(rule.Skeleton, rule.Text))
	case "hash":
		return code(rule.Hash(rule.Text))
	case "simhash":
		return code(rule.SimHash(rule.Text))
	case "list":
		return yes(rule.ListHas(0, rule.Text))
	case "rand":
		return code(rule.Rand())
	case "log":
		rule.Log(rule.Warn, "a line")
		return rule.None()
	}
	return memory(item)
}

func memory(item rule.Item) rule.Verdict {
	switch item.Title() {
	case "kv_put":
		if rule.Put("key", []byte(item.Text()), time.Minute) {
			return code(0)
		}
		return rule.Fail(1)
	case "kv_get":
		v := rule.Get("key")
		if v == nil {
			return code(1<<32 - 1)
		}
		return text(string(v))
	case "kv_delete":
		rule.Delete("key")
		return code(0)
	case "count":
		n, _ := rule.Count(1, rule.Author, 1, time.Minute)
		return code(uint64(n))
	}
	return failures(item)
}

func failures(item rule.Item) rule.Verdict {
	switch item.Title() {
	case "trap":
		panic("as ordered")
	case "loop":
		for {
			rule.Match(0, rule.Text)
		}
	case "spin":
		for n := 0; ; n++ {
			if n < 0 {
				return rule.None()
			}
		}
	case "error":
		return rule.Fail(42)
	case "bad verdict":
		return rule.Verdict{Action: 9}
	case "long label":
		return rule.Flag(strings.Repeat("x", 65))
	}
	return rule.Fail(99)
}
