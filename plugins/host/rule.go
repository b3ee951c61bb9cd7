package host

import (
	"context"
	"crypto/sha256"
	"errors"

	"ticketing"
)

// A ruleKey names a version with a configuration.
type ruleKey struct {
	versionKey
	config [sha256.Size]byte
}

func keyOf(rule *ticketing.Rule) ruleKey {
	return ruleKey{versionKey{rule.Active, rule.Trusted}, sha256.Sum256(rule.Config)}
}

// A loadedRule is a version with one configuration. It is immutable but for the count.
type loadedRule struct {
	key     ruleKey
	version *version
	sets    *sets
	refs    int // of prepared sets and judges; held: Host.mu
}

// acquire returns the loaded rules of a set, in its order, nil for retired ones, and holds each. What is not there is
// loaded. An error holds nothing.
func (h *Host) acquire(ctx context.Context, set ticketing.RuleSet) ([]*loadedRule, error) {
	rules := make([]*loadedRule, len(set.Rules))
	for i := range set.Rules {
		rule := &set.Rules[i]
		if rule.Active.IsZero() {
			continue
		}
		l, err := h.rule(ctx, rule)
		if err != nil {
			h.release(rules)
			return nil, named(rule, err)
		}
		rules[i] = l
	}
	return rules, nil
}

// rule returns a loaded rule and holds it.
func (h *Host) rule(ctx context.Context, rule *ticketing.Rule) (*loadedRule, error) {
	if l, err := h.hold(keyOf(rule)); l != nil || err != nil {
		return l, err
	}
	h.loading.Lock()
	defer h.loading.Unlock()
	if l, err := h.hold(keyOf(rule)); l != nil || err != nil {
		return l, err
	}
	return h.load(ctx, rule)
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
func (h *Host) load(ctx context.Context, rule *ticketing.Rule) (*loadedRule, error) {
	if len(rule.Config) > ticketing.MaxRuleConfig {
		return nil, invalid("its configuration has more than %d bytes.", ticketing.MaxRuleConfig)
	}
	s, err := parseConfig(rule.Config)
	if err != nil {
		return nil, invalid("%v.", err)
	}
	key := keyOf(rule)
	h.mu.Lock()
	v := h.versions[key.versionKey]
	if v != nil {
		v.refs++
	}
	h.mu.Unlock()
	if v == nil {
		if v, err = h.loadVersion(ctx, key.versionKey); err != nil {
			return nil, err
		}
		v.refs = 1
	}
	l := &loadedRule{key: key, version: v, sets: s, refs: 1}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.versions[key.versionKey], h.rules[key] = v, l
	return l, nil
}

// loadVersion fetches, checks and compiles a module.
func (h *Host) loadVersion(ctx context.Context, key versionKey) (*version, error) {
	module, err := h.source.Module(ctx, key.digest)
	switch {
	case ticketing.KindOf(err) == ticketing.NotFound:
		return nil, invalid("there is no module %v.", key.digest)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return nil, &ticketing.Error{Kind: ticketing.Unavailable, Msg: "The module could not be read in time.", Err: err}
	case err != nil:
		return nil, err
	case ticketing.DigestOf(module) != key.digest:
		return nil, ticketing.Errorf(ticketing.Internal, "The module %v is damaged.", key.digest)
	}
	if err := inspect(module); err != nil {
		return nil, err
	}
	return h.compile(key, module)
}

// release gives back what acquire returned.
func (h *Host) release(rules []*loadedRule) {
	h.mu.Lock()
	var unused []*version
	for _, l := range rules {
		if l != nil {
			unused = append(unused, h.unref(l)...)
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
	if l.version.refs--; l.version.refs > 0 {
		return nil
	}
	delete(h.versions, l.version.key)
	return []*version{l.version}
}

// drop gives back the references of a prepared set. held: mu
func (h *Host) drop(rules map[*loadedRule]struct{}) (unused []*version) {
	for l := range rules {
		unused = append(unused, h.unref(l)...)
	}
	return unused
}

// keep makes a set the latest prepared one, which takes over the references of acquire. The same generation again
// replaces what was prepared for it: a set that was never committed is no standby.
func (h *Host) keep(generation uint64, rules []*loadedRule) {
	h.mu.Lock()
	held := map[*loadedRule]struct{}{}
	var unused []*version
	for _, l := range rules {
		if l == nil {
			continue
		}
		if _, twice := held[l]; twice {
			unused = append(unused, h.unref(l)...)
		}
		held[l] = struct{}{}
	}
	old := h.kept[0]
	if generation != h.latest {
		old, h.kept[1] = h.kept[1], h.kept[0]
	}
	h.kept[0], h.latest = held, generation
	unused = append(unused, h.drop(old)...)
	if h.closed {
		unused = append(unused, h.drop(held)...)
		h.kept[0] = nil
	}
	h.mu.Unlock()
	closeAll(unused)
}
