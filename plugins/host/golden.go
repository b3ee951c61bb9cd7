package host

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"ticketing"
	"ticketing/plugins/abi"
	"ticketing/plugins/golden"
	"ticketing/plugins/memstate"
)

// keepTrial is how many lines of a golden test's log are kept, the newest.
const keepTrial = 20

// probeFuel is what all golden tests of a module may take together, with the starts of their instances: some seconds.
const probeFuel = 2_000_000_000

// A Trial is what a golden test gave. Outcome, time and lines are those on a fresh instance.
type Trial struct {
	Case    string
	Fault   *ticketing.GoldenFault // nil: it passed
	Outcome ticketing.RuleOutcome  // about the last item
	Took    time.Duration          // for the last item
	Used    uint64                 // units for the last item on the instance that had judged the most others; 0 if it was not asked there
	Log     []ticketing.RuleLog    // the newest lines, up to 20
	Denied  []string               // fields that the rule asked the host for, and its manifest does not name

	Remembers bool // Fault is that it answers otherwise on an instance that has judged other items
}

// Golden runs the golden tests of a module: each on a fresh instance with an empty memory, and those that pass twice more on an instance that
// they share, each time with an empty memory. A rule that answers otherwise there does not pass, whatever the test says: no decision of it could
// be recomputed. Its fuel may differ. A module without any is started once, and may refuse the empty configuration.
func (h *Host) Golden(ctx context.Context, d ticketing.Digest) ([]Trial, error) {
	const op = "host.Golden"
	wasm, err := h.fetch(ctx, d)
	if err != nil {
		return nil, ticketing.Wrap(op, err)
	}
	trials, err := h.golden(ctx, d, wasm)
	return trials, ticketing.Wrap(op, err)
}

func (h *Host) golden(ctx context.Context, d ticketing.Digest, wasm []byte) ([]Trial, error) {
	v, err := h.build(ctx, versionKey{digest: d}, wasm)
	if err != nil {
		return nil, err
	}
	defer v.close()
	if len(v.golden) == 0 {
		return nil, h.starts(v)
	}
	return h.trials(ctx, v, probeFuel)
}

// trials runs the golden tests of a version within some fuel.
func (h *Host) trials(ctx context.Context, v *version, left uint64) ([]Trial, error) {
	trials := make([]Trial, len(v.golden))
	for i := range v.golden {
		if err := h.afresh(ctx, v, &v.golden[i], &trials[i], &left); err != nil {
			return nil, err
		}
	}
	for i := range v.golden {
		config := v.golden[i].Config
		if slices.ContainsFunc(v.golden[:i], func(g ticketing.GoldenCase) bool { return bytes.Equal(g.Config, config) }) {
			continue
		}
		if err := h.again(ctx, v, config, trials, &left); err != nil {
			return nil, err
		}
	}
	return trials, nil
}

// afresh runs a golden test on an instance of its own.
func (h *Host) afresh(ctx context.Context, v *version, g *ticketing.GoldenCase, t *Trial, left *uint64) error {
	t.Case = g.Name
	s, err := h.stand(v, g.Config)
	if err != nil {
		t.fails(&ticketing.GoldenFault{Want: "a configuration that is accepted", Got: forPeople(err)})
		return nil
	}
	defer s.contender.close()
	shown := s.contender.call.log
	s.contender.call.log = func(l ticketing.RuleLog) {
		if shown(l); len(t.Log) == keepTrial {
			t.Log = slices.Delete(t.Log, 0, 1)
		}
		t.Log = append(t.Log, l)
	}
	fault, err := s.run(ctx, g, left)
	t.Outcome, t.Took, t.Denied = s.outcome, s.took, s.denied.Words()
	if err == nil && fault == nil {
		fault = golden.Compare(&t.Outcome, &g.Want)
	}
	t.fails(fault)
	return err
}

// again runs the golden tests of one configuration that have passed on one instance, twice, so that each is judged after all others and after
// itself.
func (h *Host) again(ctx context.Context, v *version, config []byte, trials []Trial, left *uint64) error {
	s, err := h.stand(v, config)
	if err != nil {
		return nil // all of them have failed
	}
	defer s.contender.close()
	for n := range 2 * len(trials) {
		t, g := &trials[n%len(trials)], &v.golden[n%len(trials)]
		if t.Fault != nil || !bytes.Equal(g.Config, config) {
			continue
		}
		fault, err := s.run(ctx, g, left)
		if err != nil {
			return err
		}
		t.Used = s.outcome.Fuel
		if fault == nil && s.outcome.Failure != failedLate { // which depends on the machine
			fault = golden.Differ(&t.Outcome, &s.outcome)
			t.Remembers = fault != nil
		}
		t.fails(fault)
	}
	return nil
}

// fails notes why the test did not pass, if there is a reason.
func (t *Trial) fails(f *ticketing.GoldenFault) {
	if f != nil {
		f.Case, t.Fault = t.Case, f
	}
}

// A stand is where golden tests of one configuration are judged.
type stand struct {
	host      *Host
	judge     *judge
	contender *contender

	outcome ticketing.RuleOutcome // about the last item
	took    time.Duration         // for it
	denied  abi.Fields
}

// stand makes one. Golden tests are about verdicts, not about speed: they run with the most time that a rule may have. A configuration that
// does not fit is Invalid. Whoever gets a stand closes its contender.
func (h *Host) stand(v *version, config []byte) (*stand, error) {
	sets, err := parseConfig(config)
	if err == nil {
		err = checkSchema(v.schema, config)
	}
	if err != nil {
		return nil, err
	}
	rule := ticketing.Rule{Name: v.manifest.Name, Version: v.manifest.Version, Active: v.key.digest, Config: config}
	l := &loadedRule{key: ruleKey{v.key, ticketing.DigestOf(config)}, version: v, sets: sets}
	s := &stand{host: h, judge: &judge{host: h}}
	s.contender = h.contender(&s.judge.view, &rule, seat{roleActive, rule.Version, l}, &tally{})
	s.contender.call.limits.WallMicros = h.opts.Most.WallMicros
	return s, nil
}

// run judges the items of a golden test with an empty memory. It ends with the first failure, with the context, and when nothing is left of
// the fuel for all tests.
func (s *stand) run(ctx context.Context, g *ticketing.GoldenCase, left *uint64) (*ticketing.GoldenFault, error) {
	state, call := memstate.New(), s.contender.call
	for i := range golden.Times(&g.Item) {
		if err := ctx.Err(); err != nil {
			return nil, &ticketing.Error{Kind: ticketing.Unavailable, Msg: "The golden tests did not end in time.", Err: err}
		}
		if s.contender.in == nil {
			err := s.contender.start(&s.judge.view)
			if e := takes(left, call.used()); e != nil {
				return nil, e
			}
			if err != nil {
				return &ticketing.GoldenFault{Want: "a module that starts", Got: forPeople(err)}, nil
			}
		}
		s.judge.view.show(golden.Item(&g.Item, i))
		s.judge.now = s.host.clock()
		began := s.judge.now
		s.contender.judge(s.judge, state, &s.outcome)
		s.took = time.Duration(s.judge.now - began)
		s.denied |= call.denied
		state.Settle()
		if err := takes(left, s.outcome.Fuel); err != nil {
			return nil, err
		}
		if s.outcome.Failure != "" {
			break
		}
	}
	return nil, nil
}

// takes takes what a call of a golden test used from what is left for all.
func takes(left *uint64, used uint64) error {
	if used > *left {
		return invalid("The golden tests take more than %d million units of fuel together, each judged three times: give them fewer or shorter items.", probeFuel/1_000_000)
	}
	*left -= used
	return nil
}

// forPeople is a fault of a module or a configuration, for people.
func forPeople(err error) string {
	if e := new(ticketing.Error); errors.As(err, &e) && e.Msg != "" {
		return e.Msg
	}
	return err.Error()
}
