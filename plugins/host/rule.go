package host

import (
	"context"

	"ticketing"
)

// A ruleKey names a version with a configuration.
type ruleKey struct {
	versionKey
	config ticketing.Digest
}

// A want is one version that a rule set needs, with its configuration.
type want struct {
	key    ruleKey
	config []byte
}

func wanted(rule *ticketing.Rule, d ticketing.Digest, config []byte) want {
	return want{ruleKey{versionKey{d, rule.Limits.MemoryPages}, ticketing.DigestOf(config)}, config}
}

// A loadedRule is a version with one configuration. It is immutable but for the count.
type loadedRule struct {
	key     ruleKey
	version *version
	sets    *sets
	refs    int // of prepared sets and judges; held: Host.mu
}

// A cast is everything that one rule of a set runs: each is nil if the rule has none.
type cast struct {
	active, shadow, canary *loadedRule
	previous               *loadedRule // what judges in the place of a failed active one
}

func (c *cast) all() []*loadedRule {
	return []*loadedRule{c.active, c.shadow, c.canary, c.previous}
}

// acquire loads what the rules of a set need, in its order, and holds it. An error holds nothing. A rule that is retired or in
// quarantine needs nothing, and a new one that only watches needs its shadow. That the version before cannot be loaded any more, or fails its golden tests here, is no error: there is
// nothing to fall back on then.
func (h *Host) acquire(ctx context.Context, set ticketing.RuleSet) ([]cast, error) {
	casts := make([]cast, len(set.Rules))
	for i := range set.Rules {
		rule, c := &set.Rules[i], &casts[i]
		if rule.Idle() || !rule.SuspendedUntil.IsZero() {
			continue
		}
		err := h.fillCast(ctx, rule, c)
		if err != nil {
			h.release(casts)
			return nil, named(rule, err)
		}
	}
	return casts, nil
}

func (h *Host) fillCast(ctx context.Context, rule *ticketing.Rule, c *cast) (err error) {
	if !rule.Active.IsZero() {
		if c.active, err = h.rule(ctx, wanted(rule, rule.Active, rule.Config)); err != nil {
			return err
		}
	}
	for _, candidate := range []struct {
		of *ticketing.Candidate
		to **loadedRule
	}{{rule.Shadow, &c.shadow}, {rule.Canary, &c.canary}} {
		if candidate.of == nil {
			continue
		}
		if *candidate.to, err = h.rule(ctx, wanted(rule, candidate.of.Digest, candidate.of.Config)); err != nil {
			return err
		}
	}
	if before := wanted(rule, rule.Previous, rule.PrevConf); c.active != nil && fallsBack(rule) && before.key != c.active.key {
		if err, _ = h.proofs.of(rule.Previous, h.opts.Now()); err == nil {
			c.previous, err = h.rule(ctx, before)
		}
		if err != nil {
			h.opts.Log.Warn("a rule's last good version cannot be loaded", "rule", rule.Name, "digest", rule.Previous, "err", err)
		}
	}
	return nil
}

// fallsBack reports whether a rule has a version that may judge what its active one fails on.
func fallsBack(rule *ticketing.Rule) bool {
	return !rule.Active.IsZero() && !rule.Previous.IsZero() && !rule.Barred && rule.SuspendedUntil.IsZero()
}

// rule returns a loaded rule and holds it.
func (h *Host) rule(ctx context.Context, w want) (*loadedRule, error) {
	if l, err := h.hold(w.key); l != nil || err != nil {
		return l, err
	}
	h.loading.Lock()
	defer h.loading.Unlock()
	if l, err := h.hold(w.key); l != nil || err != nil {
		return l, err
	}
	return h.load(ctx, w)
}

// hold returns a rule that is loaded and holds it, nil if it is not loaded.
func (h *Host) hold(key ruleKey) (*loadedRule, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, errClosed()
	}
	l := h.rules[key]
	if l != nil {
		l.refs++
	}
	return l, nil
}

func errClosed() error {
	return ticketing.Errorf(ticketing.Unavailable, "The rule engine is shutting down.")
}

// load loads a rule and holds it. held: loading
func (h *Host) load(ctx context.Context, w want) (*loadedRule, error) {
	if len(w.config) > ticketing.MaxRuleConfig {
		return nil, invalid("its configuration has more than %d bytes.", ticketing.MaxRuleConfig)
	}
	s, err := parseConfig(w.config)
	if err != nil {
		return nil, invalid("%v.", err)
	}
	v, err := h.versionOf(ctx, w.key.versionKey)
	if err != nil {
		return nil, err
	}
	if err := checkSchema(v.schema, w.config); err != nil {
		h.mu.Lock()
		unused := h.unrefVersion(v)
		h.mu.Unlock()
		closeAll(unused)
		return nil, err
	}
	l := &loadedRule{key: w.key, version: v, sets: s, refs: 1}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rules[w.key] = l
	return l, nil
}

// versionOf returns a version and holds it. held: loading
func (h *Host) versionOf(ctx context.Context, key versionKey) (*version, error) {
	h.mu.Lock()
	v := h.versions[key]
	if v != nil {
		v.refs++
	}
	h.mu.Unlock()
	if v != nil {
		return v, nil
	}
	wasm, err := h.fetch(ctx, key.digest)
	if err != nil {
		return nil, err
	}
	if v, err = h.build(ctx, key, wasm); err != nil {
		return nil, err
	}
	v.refs = 1
	h.mu.Lock()
	defer h.mu.Unlock()
	h.versions[key] = v
	return v, nil
}

// release gives back what acquire returned.
func (h *Host) release(casts []cast) {
	h.mu.Lock()
	var unused []*version
	for i := range casts {
		for _, l := range casts[i].all() {
			if l != nil {
				unused = append(unused, h.unref(l)...)
			}
		}
	}
	h.mu.Unlock()
	closeAll(unused)
}

// unref gives back one reference and returns the version if nobody needs it any more. held: mu
func (h *Host) unref(l *loadedRule) []*version {
	if l.refs--; l.refs > 0 {
		return nil
	}
	delete(h.rules, l.key)
	return h.unrefVersion(l.version)
}

// unrefVersion does for a version what unref does for a rule. held: mu
func (h *Host) unrefVersion(v *version) []*version {
	if v.refs--; v.refs > 0 {
		return nil
	}
	delete(h.versions, v.key)
	return []*version{v}
}

// drop gives back the references of a prepared set. held: mu
func (h *Host) drop(rules map[*loadedRule]struct{}) (unused []*version) {
	for l := range rules {
		unused = append(unused, h.unref(l)...)
	}
	return unused
}

// keep makes a set the latest prepared one, which takes over the references of acquire and the spares that were made; trial is a judge
// of it. The same generation again replaces what was prepared for it: a set that was never committed is no standby.
func (h *Host) keep(generation uint64, casts []cast, trial *judge, made spares) {
	h.mu.Lock()
	held := map[*loadedRule]struct{}{}
	var unused []*version
	for i := range casts {
		for _, l := range casts[i].all() {
			if l == nil {
				continue
			}
			if _, twice := held[l]; twice {
				unused = append(unused, h.unref(l)...)
			}
			held[l] = struct{}{}
		}
	}
	old := h.kept[0]
	if generation != h.latest {
		old, h.kept[1], h.joints[1] = h.kept[1], h.kept[0], h.joints[0]
	}
	h.kept[0], h.joints[0], h.latest = held, trial.view.joint, generation
	unused = append(unused, h.drop(old)...)
	keys := trial.keys
	if h.closed {
		unused = append(unused, h.drop(held)...)
		h.kept[0], h.joints[0], keys = nil, nil, nil
	}
	surplus := h.stock(keys, made)
	h.mu.Unlock()
	closeInstances(surplus)
	closeAll(unused)
}
