package authoring

import (
	"context"
	"time"

	"ticketing"
	"ticketing/plugins/abi"
	"ticketing/plugins/golden"
	"ticketing/plugins/host"
	"ticketing/plugins/memstate"
)

// patience is the time that a rule gets for one item here: tests are about verdicts, and the machine may be busy.
const patience = 500_000 // µs

// A bench is a module on the real host.
type bench struct {
	host     *host.Host
	module   []byte
	digest   ticketing.Digest
	manifest ticketing.Manifest
	golden   []ticketing.GoldenCase
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
	section, err := abi.FindManifest(module)
	if err == nil && section != nil {
		_, b.golden, err = abi.ParseManifest(section)
	}
	if err != nil {
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
	Outcome ticketing.RuleOutcome `json:"outcome"` // about the last item, with its fuel
	Took    time.Duration         `json:"nanoseconds"`
}

// run runs the golden tests, each on a new instance with an empty memory, as a server does.
func (b *bench) run(ctx context.Context) ([]Case, error) {
	cases := []Case{}
	for i := range b.golden {
		if err := ctx.Err(); err != nil {
			return cases, err
		}
		cases = append(cases, b.runCase(ctx, &b.golden[i]))
	}
	return cases, nil
}

func (b *bench) runCase(ctx context.Context, g *ticketing.GoldenCase) Case {
	c := Case{Name: g.Name}
	j, err := b.judge(ctx, g.Config)
	if err != nil {
		c.Want, c.Got = "a configuration that is accepted", message(err)
		return c
	}
	defer j.Close()
	state := memstate.New()
	for n := range golden.Times(&g.Item) {
		item := golden.Item(&g.Item, n)
		began := time.Now()
		c.Outcome = j.Judge(item, state).Outcomes[0]
		c.Took = time.Since(began)
		state.Settle()
	}
	fault := golden.Compare(&c.Outcome, &g.Want)
	if c.Passed = fault == nil; !c.Passed {
		c.Want, c.Got = fault.Want, fault.Got
	}
	return c
}

// message is an error for people.
func message(err error) string {
	if e, ok := err.(*ticketing.Error); ok && e.Msg != "" {
		return e.Msg
	}
	return err.Error()
}
