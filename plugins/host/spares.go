package host

import (
	"context"
	"slices"

	"ticketing"
)

// An instanceKey says which instances are alike. Between two items one may stand for another: what it keeps from items before is no part
// of what it answers, or its version would not pass its golden tests.
type instanceKey struct {
	loaded *loadedRule
	rule   string               // its name seeds what an instance draws while it starts
	limits ticketing.RuleLimits // under which it has started
}

// key is that of the contender's instance, if it has one.
func (c *contender) key() instanceKey { return instanceKey{c.loaded, c.call.rule, c.call.limits} }

// spares are instances that have started and wait for a judge, which then starts none between two items. There are never more of a key than
// judges that lead and lack it.
type spares map[instanceKey][]*instance

// inherit gives the contender of a new judge an instance of the judge before, or a spare, if there is one.
func (c *contender) inherit(v *view, before *judge) {
	k := c.key()
	in := before.give(k)
	if in == nil {
		in = c.host.takeSpare(k)
	}
	if in == nil {
		return
	}
	c.in, in.ctx = in, &callContext{context.Background(), c.call}
	c.call.tank.open(in.module, c.call.limits.CallDepth)
	c.fit(v)
}

// give gives an instance away, nil if the judge has none of the key. It starts another when it is asked for one.
func (j *judge) give(k instanceKey) *instance {
	if j == nil {
		return nil
	}
	for c := range j.contenders() {
		if in := c.in; in != nil && c.key() == k {
			c.in = nil
			return in
		}
	}
	return nil
}

// takeSpare returns a spare, nil if there is none of the key.
func (h *Host) takeSpare(k instanceKey) *instance {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := h.spares[k]
	if len(list) == 0 {
		return nil
	}
	last := len(list) - 1
	h.spares[k] = list[:last]
	return list[last]
}

// makeSpares starts what judges that lead lack of a trial's set; the trial's own instances come first. What does not start now is left to
// the judges.
func (h *Host) makeSpares(ctx context.Context, trial *judge) spares {
	made := spares{}
	for c := range trial.contenders() {
		if c.in == nil { // a version before starts when it is first needed
			continue
		}
		k := c.key()
		for range h.missing(k) - len(made[k]) {
			if ctx.Err() != nil || c.start(&trial.view) != nil {
				break
			}
			made[k] = append(made[k], c.in)
			c.in = nil
		}
	}
	return made
}

// missing returns how many judges that lead would find no spare of a key.
func (h *Host) missing(k instanceKey) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lacking(k) - len(h.spares[k])
}

// lacking returns how many judges that lead did not begin with an instance of a key. held: mu
func (h *Host) lacking(k instanceKey) (n int) {
	for j := range h.leading {
		if !slices.Contains(j.keys, k) {
			n++
		}
	}
	return n
}

// replace makes a judge lead in the place of another; each may be nil.
func (h *Host) replace(before, next *judge) {
	h.mu.Lock()
	delete(h.leading, before)
	if next != nil {
		h.leading[next] = struct{}{}
	}
	surplus := h.trim()
	h.mu.Unlock()
	closeInstances(surplus)
}

// stock adds what was made to the spares, and keeps those of the given keys. It returns the others. held: mu
func (h *Host) stock(keys []instanceKey, made spares) (surplus []*instance) {
	before := h.spares
	h.spares = spares{}
	for _, from := range [...]spares{before, made} {
		for k, list := range from {
			if slices.Contains(keys, k) {
				h.spares[k] = append(h.spares[k], list...)
			} else {
				surplus = append(surplus, list...)
			}
		}
	}
	return append(surplus, h.trim()...)
}

// trim returns the spares that no judge lacks any more. held: mu
func (h *Host) trim() (surplus []*instance) {
	for k, list := range h.spares {
		n := min(len(list), h.lacking(k))
		surplus = append(surplus, list[n:]...)
		if h.spares[k] = list[:n]; n == 0 {
			delete(h.spares, k)
		}
	}
	return surplus
}

func closeInstances(list []*instance) {
	for _, in := range list {
		in.close()
	}
}
