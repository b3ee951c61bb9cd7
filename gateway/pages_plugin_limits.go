package gateway

import (
	"strconv"
	"strings"

	"ticketing"
)

// limitField begins the names of the fields of limits, in forms as in what is wrong with them.
const limitField = "limits."

// limitWords is how people read a limit, and in what unit a form takes it.
type limitWords struct {
	name, label, unit string
	text              func(n uint64) string
}

// limitTable is the limits in the order in which pages show them.
var limitTable = []limitWords{
	{"fuel", "Fuel of an item", "units", number},
	{"memoryPages", "Memory", "pages of 64 KiB", func(n uint64) string { return bytesText(n * (64 << 10)) }},
	{"wallMicroseconds", "Deadline of an item", "µs", microsText},
	{"hostCalls", "Host calls of an item", "", number},
	{"callDepth", "Call depth", "", number},
	{"keyValueBytes", "A key with its value", "bytes", bytesText},
	{"logBytes", "Log of an item", "bytes", bytesText},
	{"outputBytes", "Output of an item", "bytes", bytesText},
	{"initFuel", "Fuel of a start", "units", number},
	{"initMicroseconds", "Deadline of a start", "µs", microsText},
}

// microsText is a time for people.
func microsText(n uint64) string {
	if n%1_000_000 == 0 {
		return number(n/1_000_000) + " s"
	}
	return strconv.FormatFloat(float64(n)/1000, 'g', -1, 64) + " ms"
}

// ruleBound is a limit of a rule, and where it comes from.
type ruleBound struct {
	Name, Server, Manifest, Rule, Effective string

	Field, Unit, Value string // in a form; an empty value stands for the server's usual limit
	Usual, Most        uint64
	Fault              string
}

// boundsOf lists the limits of the version that judges, or else of the newest one.
func (g *Gateway) boundsOf(p *pluginCard) (version string, bounds []ruleBound) {
	rule, v := ticketing.Rule{Name: p.Name}, &p.Versions[0]
	if p.Rule != nil {
		rule = *p.Rule
		if active := p.Version(rule.Active); active != nil {
			v = active
		}
	}
	usual, most := g.s.Plugins.Limits()
	holds := g.s.Plugins.Effective(rule, v.Manifest)
	for _, w := range limitTable {
		say := func(l ticketing.RuleLimits) string {
			if n := l.Get(w.name); n > 0 {
				return w.text(n)
			}
			return "–"
		}
		b := ruleBound{Name: w.label, Server: say(usual), Manifest: say(v.Manifest.Limits), Rule: say(rule.Limits), Effective: say(holds),
			Field: limitField + w.name, Unit: w.unit, Usual: usual.Get(w.name), Most: most.Get(w.name)}
		if n := rule.Limits.Get(w.name); n > 0 {
			b.Value = strconv.FormatUint(n, 10)
		}
		bounds = append(bounds, b)
	}
	return v.Version, bounds
}

// resent puts into the fields of limits what somebody has sent, and what is wrong with it.
func resent(bounds []ruleBound, f *form, wrong *faults) {
	for i := range bounds {
		b := &bounds[i]
		b.Value, b.Fault = f.get(b.Field), wrong.Of(b.Field)
	}
}

// Limited reports whether the fields of limits are to be seen at once: some are set, or wrong.
func (p *pluginView) Limited() bool {
	for _, b := range p.Limits {
		if b.Value != "" || b.Fault != "" {
			return true
		}
	}
	return false
}

// formLimits changes the limits that a form has fields for.
func formLimits(f *form, l *ticketing.RuleLimits) error {
	var faults ticketing.Fields
	for _, name := range ticketing.LimitNames() {
		text, sent := f.values[limitField+name]
		if !sent {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSpace(text[0]), 10, 64)
		if err != nil && strings.TrimSpace(text[0]) != "" {
			faults.Add(limitField+name, "A limit is a whole number; an empty field stands for the server's usual one.")
		}
		if err := l.Set(name, n); err != nil {
			return err
		}
	}
	return faults.Err()
}
