package host

import (
	"slices"

	"ticketing"
	"ticketing/plugins/abi"
	"ticketing/plugins/meter"
)

// An admitted is what is known of a module that may be compiled.
type admitted struct {
	wasm     []byte // as uploaded
	module   *meter.Module
	manifest ticketing.Manifest
	golden   []ticketing.GoldenCase
	fields   abi.Fields
	can      abi.Capabilities
	wakes    abi.Fields // a hit in one of them is needed for the rule to be asked; none: it always is
	schema   *schema    // of configurations; nil: any
}

func invalid(format string, args ...any) error {
	return ticketing.Errorf(ticketing.Invalid, format, args...)
}

// Check implements ticketing.RuleEngine. Nothing is compiled or run; the time is linear in the module's size.
func (h *Host) Check(wasm []byte) (ticketing.Manifest, error) {
	const op = "host.Check"
	m, err := meter.Inspect(wasm, admission())
	if err != nil {
		return ticketing.Manifest{}, ticketing.Wrap(op, err)
	}
	a, err := admit(wasm, m)
	if err != nil {
		return ticketing.Manifest{}, ticketing.Wrap(op, err)
	}
	if err := a.judged(); err != nil {
		return ticketing.Manifest{}, ticketing.Wrap(op, err)
	}
	_, err = h.memory(a, 0)
	return a.manifest, ticketing.Wrap(op, err)
}

// admit checks a module that was inspected against the contract and its own manifest. Faults are Invalid and say what is wrong.
func admit(wasm []byte, m *meter.Module) (*admitted, error) {
	a := &admitted{wasm: wasm, module: m}
	if err := checkImports(m); err != nil {
		return nil, err
	}
	if err := checkExports(m); err != nil {
		return nil, err
	}
	sections := m.Custom(abi.ManifestSection)
	switch len(sections) {
	case 0:
		a.fields, a.can = abi.AllFields, needs(m)|abi.CanTellTime
		a.manifest = ticketing.Manifest{ABI: abi.Name, Fields: a.fields.Words(), Capabilities: a.can.Words()}
		return a, nil
	case 1:
		return a, a.read(sections[0])
	}
	return nil, invalid("The module has two manifests.")
}

// read reads the manifest.
func (a *admitted) read(section []byte) (err error) {
	if a.manifest, a.golden, err = abi.ParseManifest(section); err != nil {
		return err
	}
	if a.fields, err = abi.FieldsOf(a.manifest.Fields); err != nil {
		return err
	}
	if a.can, err = abi.CapabilitiesOf(a.manifest.Capabilities); err != nil {
		return err
	}
	if a.wakes, err = abi.FieldsOf(a.manifest.MatchIn); err != nil {
		return err
	}
	for _, i := range a.module.Imports {
		if need := abi.Needs(i.Module, i.Name); !a.can.Has(need) {
			return invalid("The module imports %q, for which its manifest must name the capability %q.", i.Name, need.Words()[0])
		}
	}
	a.schema, err = compileSchema(a.manifest.Config)
	return err
}

// judged refuses golden tests about what rules never judge. Modules that were admitted with such tests are used as before.
func (a *admitted) judged() error {
	for i := range a.golden {
		if k := a.golden[i].Item.Kind; k != 0 && !k.Judged() {
			return invalid("The golden test %q is about a %v; rules judge posts and comments.", a.golden[i].Name, k)
		}
	}
	return nil
}

func needs(m *meter.Module) (all abi.Capabilities) {
	for _, i := range m.Imports {
		all |= abi.Needs(i.Module, i.Name)
	}
	return all
}

func checkImports(m *meter.Module) error {
	known := map[string][]abi.Signature{abi.Module: abi.Imports(), abi.WASIModule: abi.WASIImports()}
	for _, i := range m.Imports {
		list, ok := known[i.Module]
		if !ok {
			return invalid("The module imports %q of %q; only functions of %q and %q may be imported.", short(i.Name), short(i.Module), abi.Module, abi.WASIModule)
		}
		at := slices.IndexFunc(list, func(s abi.Signature) bool { return s.Name == i.Name })
		switch {
		case at < 0:
			return invalid("The module imports %q, which %s does not have.", short(i.Name), abi.Name)
		case !is(i.Type, list[at]):
			return invalid("The module imports %q with the wrong signature.", i.Name)
		}
	}
	return nil
}

func checkExports(m *meter.Module) error {
	if m.Memory == nil {
		return invalid("The module has no memory of its own.")
	}
	if e, ok := m.Export(abi.ExportMemory); !ok || e.Kind != meter.KindMemory {
		return invalid("The module does not export its memory as %q.", abi.ExportMemory)
	}
	for _, want := range abi.Exports() {
		e, ok := m.Export(want.Name)
		switch {
		case !ok && want.Optional:
		case !ok || e.Kind != meter.KindFunction:
			return invalid("The module does not export the function %q.", want.Name)
		case !is(e.Type, want.Signature):
			return invalid("The module exports %q with the wrong signature.", want.Name)
		}
	}
	return nil
}

func is(t meter.FuncType, s abi.Signature) bool {
	same := func(got []meter.ValueType, want []abi.ValueType) bool {
		return slices.EqualFunc(got, want, func(g meter.ValueType, w abi.ValueType) bool { return g == byte(w) })
	}
	return same(t.Params, s.Params) && same(t.Results, s.Results)
}

// short cuts a name that a module chose, for messages.
func short(s string) string { return s[:min(len(s), 64)] }
