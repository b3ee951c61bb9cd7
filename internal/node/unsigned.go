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

// lacksSignature is why a version is given up that this server does not take, and awaitsSignature what one waits for.
const (
	lacksSignature  = "it has no signature of a known key, and this server takes only signed versions"
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

// withdraw takes versions without a signature from the rules of a server that takes only signed ones: they may have come there before it
// did. What becomes of a rule is as if they failed too often, but that they stay in quarantine until they are signed.
func (m *ruleManager) withdraw(ctx context.Context) error {
	if !m.policy.Signed {
		return nil
	}
	set, err := m.control.RuleSet(ctx)
	if err != nil {
		return err
	}
	versions, err := m.control.Versions(ctx)
	if err != nil {
		return err
	}
	for _, r := range set.Rules {
		for _, used := range uses(&r) {
			i := slices.IndexFunc(versions, func(v ticketing.PluginVersion) bool { return v.Name == r.Name && v.Digest == used.digest })
			if i < 0 || !m.policy.Lacks(&versions[i]) {
				continue
			}
			if e := m.platform(); e != nil { // there are no signatures before
				return e
			}
			trip := ticketing.RuleTrip{Rule: r.Name, Digest: used.digest, Role: string(used.as), Cause: lacksSignature}
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
