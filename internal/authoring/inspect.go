package authoring

import (
	"context"

	"ticketing"
	"ticketing/plugins/abi"
	"ticketing/plugins/host"
	"ticketing/plugins/meter"
)

// Inspection is what can be said about a module without a server.
type Inspection struct {
	Path      string                `json:"path"`
	Bytes     int                   `json:"bytes"`
	Digest    ticketing.Digest      `json:"digest"`
	Admitted  bool                  `json:"admitted"`
	Refusal   string                `json:"refusal,omitzero"` // why it is not
	Manifest  *ticketing.Manifest   `json:"manifest,omitzero"`
	Imports   []Import              `json:"imports"`
	Exports   []string              `json:"exports"`
	Functions int                   `json:"functions"`
	Memory    uint32                `json:"memoryPages"`        // least, of 64 KiB
	Needs     []string              `json:"needs"`              // capabilities that its imports need
	Limits    *ticketing.RuleLimits `json:"limits,omitzero"`    // under which it runs if its operator sets none
	Gaps      []ticketing.LimitGap  `json:"limitGaps,omitzero"` // of which it asks for more
	Golden    []Case                `json:"golden,omitzero"`
	Failed    int                   `json:"failed"`
	Meter     int                   `json:"meter"` // the meter's version by which fuel is counted
}

// Import is a function that a module wants from its host.
type Import struct {
	Module     string `json:"module"`
	Name       string `json:"name"`
	Capability string `json:"capability,omitzero"` // that it needs
}

// Inspect looks at a module as a server does when it is uploaded, and runs its golden tests if it is admitted. That a module is
// refused, or does not start, is no error.
func Inspect(ctx context.Context, path string) (Inspection, error) {
	module, err := ReadModule(path)
	if err != nil {
		return Inspection{}, err
	}
	in := Inspection{Path: path, Bytes: len(module), Digest: ticketing.DigestOf(module), Meter: meter.Version, Imports: []Import{}, Exports: []string{}, Needs: []string{}}
	if m, err := meter.Inspect(module, meter.Limits{CallDepth: 4096}); err == nil {
		in.describe(m)
	}
	b, err := open(module)
	if err != nil {
		in.Refusal = message(err)
		return in, nil
	}
	defer b.close()
	server := host.New(source(module), host.Options{}) // without the patience of tests
	defer server.Close()
	limits := server.Effective(ticketing.Rule{}, b.manifest)
	in.Admitted, in.Manifest, in.Limits, in.Gaps = true, &b.manifest, &limits, b.manifest.Limits.Beyond(limits)
	if in.Golden, err = b.run(ctx); ticketing.KindOf(err) == ticketing.Invalid {
		in.Admitted, in.Refusal = false, message(err)
	} else if err != nil {
		return in, err
	}
	for _, c := range in.Golden {
		if !c.Passed {
			in.Failed++
		}
	}
	return in, nil
}

func (in *Inspection) describe(m *meter.Module) {
	in.Functions = m.Functions
	if m.Memory != nil {
		in.Memory = m.Memory.Min
	}
	var all abi.Capabilities
	for _, i := range m.Imports {
		need := abi.Needs(i.Module, i.Name)
		all |= need
		one := Import{Module: i.Module, Name: i.Name}
		if words := need.Words(); len(words) > 0 {
			one.Capability = words[0]
		}
		in.Imports = append(in.Imports, one)
	}
	in.Needs = append(in.Needs, all.Words()...)
	for _, e := range m.Exports {
		in.Exports = append(in.Exports, e.Name)
	}
}
