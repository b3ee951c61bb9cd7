package node

import (
	"context"
	"errors"
	"slices"
	"time"

	"ticketing"
	"ticketing/actors/control"
	"ticketing/config"
)

// rulePolicy is what a node asks of every rule.
func rulePolicy(cfg config.Config) control.Policy { return control.Policy{Signed: cfg.RulesSigned} }

// Why a version is given up that the server or its rule does not take, and what one waits for.
const (
	serverAsks      = "it has no signature of a known key, and this server takes only signed versions"
	ruleAsks        = "it has no signature of a known key, and the rule takes only signed versions"
	awaitsSignature = "It waits for the signature of a known key, as this server takes only signed versions."
)

// waits reports whether a version stays as it is until it is signed. Its manifest, which is signed too, is known by then.
func (m *ruleManager) waits(v *ticketing.PluginVersion) bool {
	return v.State == ticketing.VersionAdmitted && m.policy.Lacks(v)
}

// explain makes a version say what is not in the registry: what it waits for, and which limits it does not get as it asks.
func (m *ruleManager) explain(v *ticketing.PluginVersion) {
	if m.waits(v) {
		v.Reason = awaitsSignature
	}
	v.Gaps = v.Manifest.Limits.Beyond(m.console.Effective(ticketing.Rule{}, v.Manifest))
}

// withdraw takes versions without a signature from the rules that the server or the rule itself lets use only signed ones: they may have come
// there before it did, or their key may have been removed. What becomes of a rule is as if they failed too often, but that they stay in quarantine
// until they are signed.
func (m *ruleManager) withdraw(ctx context.Context) error {
	set, err := m.control.RuleSet(ctx)
	if err != nil || !slices.ContainsFunc(set.Rules, func(r ticketing.Rule) bool { return m.policy.Asks(&r) }) {
		return err
	}
	versions, err := m.control.Versions(ctx)
	if err != nil {
		return err
	}
	for _, r := range set.Rules {
		for _, used := range uses(&r) {
			i := slices.IndexFunc(versions, func(v ticketing.PluginVersion) bool { return v.Name == r.Name && v.Digest == used.digest })
			if i < 0 || m.policy.Trusts(&r, &versions[i]) {
				continue
			}
			if e := m.platform(); e != nil { // there are no signatures before
				return e
			}
			trip := ticketing.RuleTrip{Rule: r.Name, Digest: used.digest, Role: string(used.as), Cause: ruleAsks}
			if m.policy.Signed {
				trip.Cause = serverAsks
			}
			err = errors.Join(err, m.giveUp(ctx, control.Quarantine{Meta: ticketing.Meta{At: m.now().UTC().Truncate(time.Millisecond)}, Trip: trip}))
		}
	}
	return err
}

// A use is a version that a rule uses, and as what.
type use struct {
	digest ticketing.Digest
	as     ticketing.VersionState
}

// uses lists the versions that may judge by a rule, with what the active one is replaced by before it: an unsigned one is no good.
func uses(r *ticketing.Rule) (all []use) {
	if !r.Active.IsZero() && !r.Previous.IsZero() && !r.Barred {
		all = append(all, use{r.Previous, ticketing.VersionStandby})
	}
	if !r.Active.IsZero() && r.SuspendedUntil.IsZero() {
		all = append(all, use{r.Active, ticketing.VersionActive})
	}
	if r.Canary != nil {
		all = append(all, use{r.Canary.Digest, ticketing.VersionCanary})
	}
	if r.Shadow != nil {
		all = append(all, use{r.Shadow.Digest, ticketing.VersionShadow})
	}
	return all
}
