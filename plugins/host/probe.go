package host

import (
	"context"
	"errors"

	"ticketing"
	"ticketing/plugins/golden"
	"ticketing/plugins/memstate"
)

// Probe implements ticketing.RuleEngine. Golden tests are about verdicts, not about speed: they run with the most time that a rule
// may have. A module without any is started once, and may refuse the empty configuration.
func (h *Host) Probe(ctx context.Context, d ticketing.Digest) ([]ticketing.GoldenFault, error) {
	const op = "host.Probe"
	wasm, err := h.fetch(ctx, d)
	if err != nil {
		return nil, ticketing.Wrap(op, err)
	}
	faults, err := h.probe(ctx, d, wasm)
	if err == nil && len(faults) == 0 {
		h.proofs.note(d, h.opts.Now(), nil)
	}
	return faults, ticketing.Wrap(op, err)
}

func (h *Host) probe(ctx context.Context, d ticketing.Digest, wasm []byte) (faults []ticketing.GoldenFault, err error) {
	v, err := h.build(ctx, versionKey{digest: d}, wasm)
	if err != nil {
		return nil, err
	}
	defer v.close()
	if len(v.golden) == 0 {
		return nil, h.starts(v)
	}
	left := uint64(probeFuel)
	for i := range v.golden {
		c := &v.golden[i]
		f, err := h.golden(ctx, v, c, &left)
		if err != nil {
			return nil, err
		}
		if f != nil {
			f.Case = c.Name
			faults = append(faults, *f)
		}
	}
	return faults, nil
}

// probeFuel is what all golden tests of a module may take together, with the starts of their instances: some seconds.
const probeFuel = 2_000_000_000

// takes takes what a call of a golden test used from what is left for all.
func takes(left *uint64, used uint64) error {
	if used > *left {
		return invalid("The golden tests take more than %d million units of fuel together: give them fewer or shorter items.", probeFuel/1_000_000)
	}
	*left -= used
	return nil
}

// starts reports whether an instance starts, apart from its configuration.
func (h *Host) starts(v *version) error {
	l := &loadedRule{key: ruleKey{versionKey: v.key}, version: v, sets: &sets{guest: []byte("{}")}}
	c := newCall(h, v.manifest.Name, v.manifest.Version, l, h.Effective(ticketing.Rule{}, v.manifest))
	in, err := l.start(c)
	if err == nil {
		in.close()
		return nil
	}
	var r *refusal
	if errors.As(err, &r) && r.config {
		return nil
	}
	return invalid("The module cannot be used: %v", err)
}

// golden runs one golden test on an instance of its own, nil if it passes. It ends with the first failure, with the context, and when
// nothing is left of the fuel for all tests.
func (h *Host) golden(ctx context.Context, v *version, c *ticketing.GoldenCase, left *uint64) (*ticketing.GoldenFault, error) {
	s, err := parseConfig(c.Config)
	if err == nil {
		err = checkSchema(v.schema, c.Config)
	}
	if err != nil {
		return &ticketing.GoldenFault{Want: "a configuration that is accepted", Got: err.Error()}, nil
	}
	rule := ticketing.Rule{Name: v.manifest.Name, Version: v.manifest.Version, Active: v.key.digest, Config: c.Config}
	l := &loadedRule{key: ruleKey{v.key, ticketing.DigestOf(c.Config)}, version: v, sets: s}
	j := &judge{host: h}
	p := h.contender(&j.view, &rule, seat{roleActive, rule.Version, l}, &tally{})
	p.call.limits.WallMicros = h.opts.Most.WallMicros
	defer p.close()
	if err := p.start(&j.view); err != nil {
		return &ticketing.GoldenFault{Want: "a module that starts", Got: err.Error()}, takes(left, p.call.used())
	}
	if err := takes(left, p.call.used()); err != nil {
		return nil, err
	}
	var o ticketing.RuleOutcome
	state := memstate.New()
	for i := range golden.Times(&c.Item) {
		if err := ctx.Err(); err != nil {
			return nil, &ticketing.Error{Kind: ticketing.Unavailable, Msg: "The golden tests did not end in time.", Err: err}
		}
		j.view.show(golden.Item(&c.Item, i))
		j.now = h.clock()
		p.judge(j, state, &o)
		state.Settle()
		if err := takes(left, o.Fuel); err != nil {
			return nil, err
		}
		if o.Failure != "" {
			break
		}
	}
	return golden.Compare(&o, &c.Want), nil
}
