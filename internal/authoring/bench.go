package authoring

import (
	"context"
	"time"

	"ticketing"
	"ticketing/plugins/host"
)

// patience is the time that a rule gets for one item here: tests are about verdicts, and the machine may be busy.
const patience = 500_000 // µs

// A bench is a module on the real host.
type bench struct {
	host     *host.Host
	module   []byte
	digest   ticketing.Digest
	manifest ticketing.Manifest
}

// source is a module source of one module.
type source []byte

func (s source) Module(_ context.Context, d ticketing.Digest) ([]byte, error) {
	if d != ticketing.DigestOf(s) {
		return nil, ticketing.Errorf(ticketing.NotFound, "There is no module %v.", d)
	}
	return s, nil
}

// open admits a module and readies a host for it; a module that is refused is Invalid.
func open(module []byte) (*bench, error) {
	b := &bench{module: module, digest: ticketing.DigestOf(module)}
	b.host = host.New(source(module), host.Options{Usual: ticketing.RuleLimits{WallMicros: patience}})
	var err error
	if b.manifest, err = b.host.Check(module); err != nil {
		b.host.Close()
		return nil, err
	}
	return b, nil
}

func (b *bench) close() { b.host.Close() }

// judge returns a judge with the module as its only rule.
func (b *bench) judge(ctx context.Context, config []byte) (ticketing.Judge, error) {
	name := b.manifest.Name
	if name == "" {
		name = "rule"
	}
	return b.host.Open(ctx, ticketing.RuleSet{Rules: []ticketing.Rule{
		{Name: name, Version: b.manifest.Version, Active: b.digest, Config: config},
	}})
}

// Case is what a golden test gave.
type Case struct {
	Name    string                `json:"name"`
	Passed  bool                  `json:"passed"`
	Want    string                `json:"want,omitzero"` // what differs, if it did not pass
	Got     string                `json:"got,omitzero"`
	Outcome ticketing.RuleOutcome `json:"outcome"`           // about the last item on a fresh instance, with its fuel
	Used    uint64                `json:"usedFuel,omitzero"` // of the last item on an instance that has judged the others; 0 if it was not asked there
	Took    time.Duration         `json:"nanoseconds"`
	Log     []ticketing.RuleLog   `json:"log,omitzero"`    // the newest lines, up to 20
	Denied  []string              `json:"denied,omitzero"` // fields that the rule asked for, and its manifest does not name

	Remembers bool `json:"remembers,omitzero"` // it answers otherwise on an instance that has judged other items
}

// run runs the golden tests as a server does.
func (b *bench) run(ctx context.Context) ([]Case, error) {
	trials, err := b.host.Golden(ctx, b.digest)
	if err != nil {
		return nil, err
	}
	cases := make([]Case, len(trials))
	for i, t := range trials {
		c := &cases[i]
		*c = Case{Name: t.Case, Passed: t.Fault == nil, Outcome: t.Outcome, Used: t.Used, Took: t.Took, Log: t.Log, Denied: t.Denied, Remembers: t.Remembers}
		if !c.Passed {
			c.Want, c.Got = t.Fault.Want, t.Fault.Got
		}
	}
	return cases, nil
}

// message is an error for people.
func message(err error) string {
	if e, ok := err.(*ticketing.Error); ok && e.Msg != "" {
		return e.Msg
	}
	return err.Error()
}
