package control

import "ticketing"

// A Policy is what a server asks of every rule, whatever the rule itself says. The nodes of a cluster should have the same: what is decided
// goes by the policy of the node that leads control.
type Policy struct {
	Signed bool // only signed versions may judge
}

// Lacks reports whether no rule may use a version because it has no signature that counts. What came with the program is ours.
func (p Policy) Lacks(v *ticketing.PluginVersion) bool { return p.Signed && !signed(v) }

// trusts reports whether a rule may use a version as far as signatures go.
func (p Policy) trusts(r *ticketing.Rule, v *ticketing.PluginVersion) bool {
	return !p.Lacks(v) && (!r.Signed || signed(v))
}
