package control

import "ticketing"

// A Policy is what a server asks of every rule, whatever the rule itself says. The nodes of a cluster should have the same: what is decided
// goes by the policy of the node that leads control.
type Policy struct {
	Signed bool // only signed versions may judge
}

// Lacks reports whether no rule may use a version because it has no signature that counts. What came with the program is ours.
func (p Policy) Lacks(v *ticketing.PluginVersion) bool { return p.Signed && !signed(v) }

// Asks reports whether a rule may use only signed versions.
func (p Policy) Asks(r *ticketing.Rule) bool { return p.Signed || r.Signed }

// Trusts reports whether a rule may use a version as far as signatures go.
func (p Policy) Trusts(r *ticketing.Rule, v *ticketing.PluginVersion) bool {
	return !p.Asks(r) || signed(v)
}

// unsigned returns why the rule of a version may not use it as far as signatures go, as Conflict. There may be no rule yet.
func (p Policy) unsigned(r *ticketing.Rule, v *ticketing.PluginVersion) error {
	switch {
	case p.Lacks(v):
		return ticketing.Errorf(ticketing.Conflict, "This server takes only signed versions, and %s of %s has no signature of a known key.", v.Version, v.Name)
	case r != nil && !p.Trusts(r, v):
		return ticketing.Errorf(ticketing.Conflict, "The rule %s takes only signed versions, and %s has no signature of a known key.", r.Name, v.Version)
	}
	return nil
}
