package host

import (
	"context"
	"errors"

	"ticketing"
)

// Probe implements ticketing.RuleEngine: it is Golden, for those who only want to know what is wrong.
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

// probe returns which golden tests of a module do not pass.
func (h *Host) probe(ctx context.Context, d ticketing.Digest, wasm []byte) (faults []ticketing.GoldenFault, err error) {
	trials, err := h.golden(ctx, d, wasm)
	if err != nil {
		return nil, err
	}
	for i := range trials {
		if f := trials[i].Fault; f != nil {
			faults = append(faults, *f)
		}
	}
	return faults, nil
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
	return invalid("The module cannot be used: %s", forPeople(err))
}
