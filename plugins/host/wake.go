package host

import (
	"ticketing"
	"ticketing/plugins/abi"
)

// wakes reports whether the version has to be asked about the view's item, and what it owes for the search that says so: a rule whose
// manifest says in which fields one of its words must be has nothing to say about all other items. The search is shared by all rules
// that have words; each pays for it alike, as for everything that the host does.
func (c *contender) wakes(v *view) (awake bool, units int) {
	fields := c.loaded.version.wakes
	if fields == 0 {
		return true, 0
	}
	defer func() {
		if p := recover(); p != nil { // a fault of ours, which the call meets as well, where it is a failure
			c.host.opts.Log.Error("the search for a rule's words failed", "rule", c.outcome.Rule, "panic", p)
			awake, units = true, 0
		}
	}()
	for i, id := range searched {
		f := v.field(uint32(id))
		if f == nil || !fields.Has(id) {
			continue
		}
		units += c.loaded.sets.scanCost(len(f.Text))
		awake = awake || c.call.scanner >= 0 && v.hitsAny(c.call.scanner, i, f, c.call.base, int32(c.call.wordSets()))
	}
	return awake, units
}

// hitsAny reports whether one of n sets of a scanner, of which base is the first, has a hit in a field, the i-th of searched.
func (v *view) hitsAny(scanner, i int, f *abi.Field, base, n int32) bool {
	hits := v.firstHits(scanner, i, f)
	if v.scanners[scanner].hit[i] == 0 {
		return false
	}
	for _, h := range hits[base : base+n] {
		if h != noHit {
			return true
		}
	}
	return false
}

// rest is the outcome of a rule that has not been asked. Only the rule for which the search was made reads the clock.
func (c *contender) rest(j *judge, units int, o *ticketing.RuleOutcome) {
	*o = c.outcome
	o.Fuel = min(uint64(units), c.call.limits.Fuel)
	began := j.now
	if j.view.searches != j.searches {
		j.searches, j.now = j.view.searches, c.host.clock()
		o.Micros = micros(j.now - began)
	}
	c.tally.count(o, j.now-began)
}

// prepay notes that the call has paid for the search in the fields that wake its rule.
func (c *call) prepay(units int) {
	if c.prepaid = units; units == 0 {
		return
	}
	for i, id := range searched {
		c.scanned[i] = c.loaded.version.wakes.Has(id)
	}
}
