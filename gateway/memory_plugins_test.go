package gateway

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"ticketing"
)

func (m *memory) History(_ context.Context, name string, limit int) (out []ticketing.VersionChange, err error) {
	for _, s := range slices.Backward(m.steps) {
		if s.Name == name && len(out) < limit {
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		return nil, notFound()
	}
	return out, nil
}

func (m *memory) Sign(_ context.Context, c ticketing.SignVersion) (ticketing.PluginVersion, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := findVersion(m.plugins, c.Name, c.Digest)
	if v == nil {
		return ticketing.PluginVersion{}, notFound()
	}
	for _, k := range m.signers {
		if k.ID() == c.Signature.Key && k.Verify(c.Signature.Sig, v.Digest, v.Name, v.Manifest.Version) {
			c.Signature.Name = k.Name
			v.Signatures = append(v.Signatures, c.Signature)
			return *v, nil
		}
	}
	return ticketing.PluginVersion{}, ticketing.InvalidField("signature", "No known key made this.")
}

func (m *memory) Resume(_ context.Context, c ticketing.ResumeVersion) (ticketing.RuleSet, error) {
	return once(m, c.Meta, func() (ticketing.RuleSet, error) {
		v := findVersion(m.plugins, c.Name, c.Digest)
		switch {
		case v == nil:
			return m.set, notFound()
		case v.State != ticketing.VersionQuarantined:
			return m.set, ticketing.Errorf(ticketing.Conflict, "%s of %s is not in quarantine.", v.Version, v.Name)
		}
		v.State = ticketing.VersionStandby
		m.steps = append(m.steps, ticketing.VersionChange{Name: v.Name, Version: v.Version, Digest: v.Digest, To: v.State, By: c.By.ID, Why: c.Why, At: c.At})
		return m.set, nil
	})
}

func (m *memory) Signers(context.Context) ([]ticketing.SignerKey, error) { return m.signers, nil }

func (m *memory) SetSigner(_ context.Context, c ticketing.SetSigner) ([]ticketing.SignerKey, error) {
	return once(m, c.Meta, func() ([]ticketing.SignerKey, error) {
		if len(c.Key.Public) != 32 {
			return nil, ticketing.InvalidField("publicKey", "A key has 32 bytes.")
		}
		m.signers = slices.DeleteFunc(m.signers, func(k ticketing.SignerKey) bool { return k.ID() == c.Key.ID() })
		if !c.Remove {
			c.Key.AddedBy, c.Key.AddedAt = c.By.ID, c.At
			m.signers = append(m.signers, c.Key)
		}
		return m.signers, nil
	})
}

// Stats has an active version, and a shadow that disagreed once.
func (m *memory) Stats(_ context.Context, rule string) ([]ticketing.VersionStats, error) {
	r := findRule(&m.set, rule)
	if r == nil {
		return nil, nil
	}
	at := time.UnixMilli(1_700_000_000_000).UTC()
	active := ticketing.VersionStats{Rule: rule, Digest: r.Active, Role: "active", Judged: 3, Fuel: 300, Micros: 9, MaxFuel: 200, Since: at}
	active.Actions[ticketing.ActionNone] = 3
	shadow := ticketing.VersionStats{Rule: rule, Digest: r.Active, Role: "shadow", Judged: 3, Since: at, Failed: 1, Failures: map[string]uint64{"trap": 1},
		Samples: []ticketing.StatsSample{{Kind: ticketing.KindComment, Subject: ticketing.NewID(1, at, 1), Author: ticketing.NewID(1, at, 2), Shadow: ticketing.ActionHold, Text: "A remark.", At: at,
			Post: ticketing.NewID(1, at, 3), ShadowWhy: "It says so."}}}
	shadow.Actions[ticketing.ActionNone], shadow.Actions[ticketing.ActionHold] = 1, 1
	shadow.Matrix[ticketing.ActionNone] = [5]uint64{1, 0, 0, 1, 0}
	return []ticketing.VersionStats{active, shadow}, nil
}

func (m *memory) Usage(context.Context) (all []ticketing.RuleUsage, err error) {
	for _, r := range m.set.Rules {
		all = append(all, ticketing.RuleUsage{Node: "n1", Rule: r.Name, Version: "v1", Digest: r.Active, Role: "active", Calls: 3, Fuel: 300, Micros: 9,
			Share: 0.01, Since: time.UnixMilli(1_700_000_000_000).UTC()})
	}
	return all, nil
}

func (m *memory) Logs(_ context.Context, rule string, limit int) ([]ticketing.RuleLog, error) {
	lines := m.lines
	if lines == nil {
		lines = []ticketing.RuleLog{{At: time.UnixMilli(1_700_000_000_000).UTC(), Node: "n1", Rule: rule, Version: "v1", Level: "info", Text: "Seen <b>."}}
	}
	return lines[max(0, len(lines)-limit):], nil
}

// Preset knows two kinds of versions: built-in rules, and others.
func (m *memory) Preset(v ticketing.PluginVersion, present ...ticketing.Preset) (ticketing.Preset, error) {
	for _, p := range present {
		if len(p.Config) > 0 {
			return p, nil
		}
	}
	if v.Builtin {
		return ticketing.Preset{Config: []byte(`{"own":1}`), From: "the built-in one"}, nil
	}
	return ticketing.Preset{Config: []byte("{}"), From: "the defaults"}, nil
}

func (m *memory) Limits() (usual, most ticketing.RuleLimits) {
	const all = 100_000
	return ticketing.RuleLimits{Fuel: 10_000_000, MemoryPages: 256},
		ticketing.RuleLimits{Fuel: 200_000_000, MemoryPages: 1024, WallMicros: all, HostCalls: all, CallDepth: all, KVBytes: all, InitFuel: all, InitMicros: all, LogBytes: all, OutputBytes: all}
}

func (m *memory) Effective(r ticketing.Rule, manifest ticketing.Manifest) ticketing.RuleLimits {
	return r.Limits.Least(manifest.Limits)
}

// Try holds what says so.
func (m *memory) Try(_ context.Context, r ticketing.Rule, item *ticketing.Item) (ticketing.RuleOutcome, []ticketing.RuleLog, error) {
	o := ticketing.RuleOutcome{Rule: r.Name, Version: r.Version, Digest: r.Active, Fuel: 100}
	if strings.Contains(item.Text, "hold") {
		o.Action, o.Detail, o.Labels = ticketing.ActionHold, "It says so.", []string{"says"}
	}
	seen := fmt.Sprintf("Seen an item of %s, %d ms old, %d held.", item.Author.Name, item.AuthorAge, item.Counts.Held)
	return o, []ticketing.RuleLog{{At: item.At, Rule: r.Name, Version: r.Version, Level: "info", Text: seen}}, nil
}
