package node

import (
	"context"
	"slices"
	"sync"
	"time"

	"ticketing"
	"ticketing/actors/control"
	"ticketing/plugins/preset"
)

// setAttempts bounds how often a change is prepared again because others changed other rules meanwhile.
const setAttempts = 5

// Plugins implements ticketing.PluginService.
func (m *ruleManager) Plugins(ctx context.Context) ([]ticketing.PluginVersion, error) {
	all, err := m.control.Versions(ctx)
	for i := range all {
		m.explain(&all[i])
	}
	return all, err
}

// RuleSet implements ticketing.PluginService.
func (m *ruleManager) RuleSet(ctx context.Context) (ticketing.RuleSet, error) {
	return m.control.RuleSet(ctx)
}

// History implements ticketing.PluginService.
func (m *ruleManager) History(ctx context.Context, name string, limit int) ([]ticketing.VersionChange, error) {
	if m.platform() != nil {
		return nil, nil
	}
	return m.control.History(ctx, name, limit)
}

// SetRule implements ticketing.PluginService.
func (m *ruleManager) SetRule(ctx context.Context, c ticketing.SetRule) (ticketing.RuleSet, error) {
	const op = "node.SetRule"
	if err := control.Needs(m.format(), &c); err != nil {
		return ticketing.RuleSet{}, ticketing.Wrap(op, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for n := 1; ; n++ {
		next, raced, err := m.trySet(ctx, c)
		if raced && n < setAttempts {
			continue
		}
		if err != nil {
			return next, ticketing.Wrap(op, err)
		}
		if err := m.distribute(ctx, next); err != nil { // it is committed, and reconcile brings it to whoever lacks it
			m.log.Warn("a rule set that is committed is not on every shard yet", "generation", next.Generation, "error", err)
		}
		return next, nil
	}
}

// trySet prepares a change and commits it. raced says that the set it was prepared upon is not the present one any more.
func (m *ruleManager) trySet(ctx context.Context, c ticketing.SetRule) (next ticketing.RuleSet, raced bool, err error) {
	set, err := m.control.RuleSet(ctx)
	if err != nil {
		return set, false, err
	}
	versions, err := m.control.Versions(ctx)
	if err != nil {
		return set, false, err
	}
	next, err = m.policy.Change(set, &c, m.now(), func(name string, d ticketing.Digest) (ticketing.PluginVersion, bool) {
		i := slices.IndexFunc(versions, func(v ticketing.PluginVersion) bool { return v.Name == name && v.Digest == d })
		if i < 0 {
			return ticketing.PluginVersion{}, false
		}
		return versions[i], true
	})
	if err != nil {
		return set, false, err
	}
	if err := m.checkLimits(&set, &c); err != nil {
		return set, false, err
	}
	if err := m.engine.Prepare(ctx, next); err != nil {
		return set, false, err
	}
	m.others(ctx, next)
	c.Prepared = set.Generation
	next, err = m.control.SetRule(ctx, c)
	return next, ticketing.KindOf(err) == ticketing.Conflict, err // what else is Conflict was found above
}

// checkLimits refuses limits that the engine would cut. Those that a rule has from before stay with it.
func (m *ruleManager) checkLimits(set *ticketing.RuleSet, c *ticketing.SetRule) error {
	if slices.ContainsFunc(set.Rules, func(r ticketing.Rule) bool { return r.Name == c.Name && r.Limits == c.Limits }) {
		return nil
	}
	_, most := m.console.Limits()
	return c.Limits.Within(most)
}

// Resume implements ticketing.PluginService.
func (m *ruleManager) Resume(ctx context.Context, c ticketing.ResumeVersion) (ticketing.RuleSet, error) {
	const op = "node.Resume"
	m.mu.Lock()
	defer m.mu.Unlock()
	set, err := m.control.Resume(ctx, c)
	if err != nil {
		return set, ticketing.Wrap(op, err)
	}
	if err := m.engine.Prepare(ctx, set); err != nil {
		return set, ticketing.Wrap(op, err)
	}
	return set, ticketing.Wrap(op, m.distribute(ctx, set))
}

// Sign implements ticketing.PluginService. A version that only waited for a signature is taken on.
func (m *ruleManager) Sign(ctx context.Context, c ticketing.SignVersion) (ticketing.PluginVersion, error) {
	if err := m.platform(); err != nil {
		return ticketing.PluginVersion{}, ticketing.Wrap("node.Sign", err)
	}
	m.uploads.begin(c.Digest)
	defer m.uploads.end(c.Digest)
	v, err := m.control.Sign(ctx, c)
	if err == nil {
		v, err = m.advance(ctx, v)
	}
	m.explain(&v)
	return v, err
}

// Signers implements ticketing.PluginService.
func (m *ruleManager) Signers(ctx context.Context) ([]ticketing.SignerKey, error) {
	if m.platform() != nil {
		return nil, nil
	}
	return m.control.Signers(ctx)
}

// SetSigner implements ticketing.PluginService. When it returns, no rule that asks for signatures judges by what only a removed key had signed.
func (m *ruleManager) SetSigner(ctx context.Context, c ticketing.SetSigner) ([]ticketing.SignerKey, error) {
	if err := m.platform(); err != nil {
		return nil, ticketing.Wrap("node.SetSigner", err)
	}
	keys, err := m.control.SetSigner(ctx, c)
	if err != nil || !c.Remove {
		return keys, err
	}
	if err := m.withdraw(ctx); err != nil { // the key is removed, and control's leader tries again
		m.log.Warn("a key is removed, and versions that have no other signature are not taken from the rules yet", "key", c.Key.ID(), "error", err)
	}
	return keys, nil
}

// Stats implements ticketing.PluginService.
func (m *ruleManager) Stats(ctx context.Context, rule string) ([]ticketing.VersionStats, error) {
	if m.platform() != nil {
		return nil, nil
	}
	return m.moderation.Stats(ctx, rule)
}

// Usage implements ticketing.PluginService.
func (m *ruleManager) Usage(ctx context.Context) ([]ticketing.RuleUsage, error) {
	return m.usage(ctx), nil
}

// Logs implements ticketing.PluginService. The lines of all nodes come oldest first.
func (m *ruleManager) Logs(ctx context.Context, rule string, limit int) ([]ticketing.RuleLog, error) {
	all := m.logs(ctx, rule, limit)
	slices.SortStableFunc(all, func(a, b ticketing.RuleLog) int { return a.At.Compare(b.At) })
	return all[max(0, len(all)-limit):], nil
}

// Preset implements ticketing.PluginService.
func (m *ruleManager) Preset(v ticketing.PluginVersion, present ...ticketing.Preset) (ticketing.Preset, error) {
	return preset.Choose(&v, present...)
}

// Limits implements ticketing.PluginService.
func (m *ruleManager) Limits() (usual, most ticketing.RuleLimits) { return m.console.Limits() }

// Effective implements ticketing.PluginService.
func (m *ruleManager) Effective(rule ticketing.Rule, manifest ticketing.Manifest) ticketing.RuleLimits {
	return m.console.Effective(rule, manifest)
}

// Try implements ticketing.PluginService.
func (m *ruleManager) Try(ctx context.Context, rule ticketing.Rule, item *ticketing.Item) (ticketing.RuleOutcome, []ticketing.RuleLog, error) {
	return m.console.Try(ctx, rule, item)
}

// gatherTimeout bounds how long nodes may take to say what they know of rules. One that does not answer is left out.
const gatherTimeout = 2 * time.Second

// gather asks all nodes that are alive, this one included, by own.
func gather[T, Q any](ctx context.Context, n *Node, op byte, q Q, own func(context.Context, string, Q) ([]T, error)) []T {
	all, _ := own(ctx, n.name, q)
	m, ok := n.members.current()
	if !ok {
		return all
	}
	ctx, cancel := context.WithTimeout(ctx, gatherTimeout)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, member := range m.Members {
		if member.Node == n.name || member.State == ticketing.MemberRemoved {
			continue
		}
		wg.Go(func() {
			if found, err := call[[]T](ctx, n, member.Node, op, q); err == nil {
				mu.Lock()
				defer mu.Unlock()
				all = append(all, found...)
			}
		})
	}
	wg.Wait()
	return all
}

func (n *Node) usageOfAll(ctx context.Context) []ticketing.RuleUsage {
	return gather(ctx, n, callUsage, nothing{}, n.ruleUsage)
}

// ruleUsage answers what rules have cost on this node.
func (n *Node) ruleUsage(context.Context, string, nothing) ([]ticketing.RuleUsage, error) {
	all := n.host.Usage()
	for i := range all {
		all[i].Node = n.name
	}
	return all, nil
}

// whichLogs asks for the newest lines of a rule.
type whichLogs struct {
	Rule  string `cbor:"1,keyasint"`
	Limit int    `cbor:"2,keyasint"`
}

func (n *Node) logsOfAll(ctx context.Context, rule string, limit int) []ticketing.RuleLog {
	return gather(ctx, n, callLogs, whichLogs{rule, limit}, n.ruleLogs)
}

// ruleLogs answers what a rule has logged on this node.
func (n *Node) ruleLogs(_ context.Context, _ string, q whichLogs) ([]ticketing.RuleLog, error) {
	all := n.host.Logs(q.Rule, q.Limit)
	for i := range all {
		all[i].Node = n.name
	}
	return all, nil
}
