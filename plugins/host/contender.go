package host

import (
	"strconv"

	"ticketing"
	"ticketing/plugins/abi"
	"ticketing/plugins/meter"
)

// A contender is one version with one configuration that may judge a rule's items, for one judge.
type contender struct {
	host    *Host
	loaded  *loadedRule
	outcome ticketing.RuleOutcome // what every outcome begins as
	policy  ticketing.FailurePolicy
	call    *call
	in      *instance // nil after a failure, until the next call
	shape   int       // of the view's frames
	late    bool      // the last item's call hit the deadline
	tally   *tally
}

// leastServed is how many calls an instance should last. A version whose instances are full of memory before is as dear as one that
// fails: a start may take ten times the fuel of a call.
const leastServed = 10

// A seat is what distinguishes the contenders of one rule.
type seat struct {
	role    string
	version string // as the rule set calls it
	loaded  *loadedRule
}

// The roles in which a version judges; the version before has that of the active one, in whose place it stands.
const (
	roleActive = "active"
	roleCanary = "canary"
	roleShadow = "shadow"
)

// contender returns one that looks at the items of a view, nil for an empty seat. Whoever gets one closes it.
func (h *Host) contender(v *view, rule *ticketing.Rule, s seat, t *tally) *contender {
	if s.loaded == nil {
		return nil
	}
	c := &contender{host: h, loaded: s.loaded, policy: rule.OnFailure, tally: t}
	c.outcome = ticketing.RuleOutcome{
		Rule: rule.Name, Version: s.version, Digest: s.loaded.key.digest, Config: s.loaded.key.config,
		Canary: s.role == roleCanary, Meter: meter.Version, Limits: set(rule.Limits),
	}
	c.call = newCall(h, rule.Name, s.version, s.loaded, h.Effective(*rule, s.loaded.version.manifest))
	c.call.scanner, c.call.base = v.scannerFor(s.loaded)
	return c
}

func (c *contender) close() {
	if c != nil && c.in != nil {
		c.in.close()
		c.in = nil
	}
}

// start starts an instance, unless there is one.
func (c *contender) start(v *view) (err error) {
	if c.in != nil {
		return nil
	}
	if c.in, err = c.loaded.start(c.call); err == nil {
		c.fit(v)
	}
	return err
}

// fit notes which frames the instance gets.
func (c *contender) fit(v *view) {
	c.shape = v.shapeOf(shape{c.loaded.version.fields, c.loaded.version.can.Has(abi.CanTellTime), c.in.room})
}

// judge asks the version about the view's item, if the item wakes it. j is where the time comes from and where what was read goes. The outcome has the
// action of the failure policy if the version failed.
func (c *contender) judge(j *judge, state ticketing.RuleState, o *ticketing.RuleOutcome) (reads []byte) {
	awake, units := c.wakes(&j.view)
	if !awake {
		c.rest(j, units, o)
		return nil
	}
	began := j.now
	*o = c.outcome
	verdict, failure := c.ask(j, state, units)
	reads = c.call.evidence()
	o.Fuel = min(c.call.used(), c.call.limits.Fuel)
	if failure != "" {
		c.close()
		o.Failure, o.Action = failure, onFailure(c.policy)
		c.host.opts.Log.Debug("rule failed", "rule", o.Rule, "version", o.Version, "item", j.view.item.ID, "failure", failure)
	} else {
		o.Abstain, o.Action, o.Score = verdict.Status == abi.StatusAbstain, verdict.Action, verdict.Score
		o.Severe, o.Code, o.Labels, o.Detail = verdict.Severity, verdict.Code, c.call.labels, c.call.detail
		if in := c.in; in.count(c.loaded) {
			c.close()
			if in.served < leastServed {
				c.tally.wore()
			}
		}
	}
	j.now, j.searches = c.host.clock(), j.view.searches
	o.Micros = micros(j.now - began)
	c.tally.count(o, j.now-began)
	return reads
}

func micros(ns int64) uint32 { return uint32(min(max(ns+500, 0)/1_000, 1<<32-1)) }

func onFailure(p ticketing.FailurePolicy) ticketing.Action {
	switch p {
	case ticketing.FailAllow:
		return ticketing.ActionNone
	case ticketing.FailReject:
		return ticketing.ActionReject
	default:
		return ticketing.ActionHold
	}
}

// ask runs the rule on an item. failure says in a few words what went wrong. A busy machine may lose the time of a whole
// call, so one that hits the deadline is tried once more, unless the item before had the same trouble.
func (c *contender) ask(j *judge, state ticketing.RuleState, prepaid int) (verdict abi.Verdict, failure string) {
	verdict, failure = c.attempt(j, state, prepaid)
	if failure == failedLate && !c.late {
		c.close()
		j.now = c.host.clock()
		verdict, failure = c.attempt(j, state, prepaid)
	}
	c.late = failure == failedLate
	return verdict, failure
}

// attempt runs one call, with a fresh instance if the last one failed. What a failed call wrote is taken back.
func (c *contender) attempt(j *judge, state ticketing.RuleState, prepaid int) (verdict abi.Verdict, failure string) {
	defer func() {
		if p := recover(); p != nil { // a fault of ours or of the state: the item is decided, the node lives
			c.host.opts.Log.Error("a rule's call failed in the host", "rule", c.outcome.Rule, "panic", p)
			verdict, failure = abi.Verdict{}, failedHost
		}
	}()
	if c.in == nil {
		if err := c.start(&j.view); err != nil {
			c.host.opts.Log.Debug("rule does not start", "rule", c.outcome.Rule, "err", err)
			return verdict, failedStart
		}
		c.tally.started(c.call.used())
		j.now = c.host.clock()
	}
	c.call.begin(&j.view, state)
	c.call.prepay(prepaid)
	if verdict, failure = c.eval(j); failure != "" {
		c.call.undo()
	}
	return verdict, failure
}

// eval calls tk_eval.
func (c *contender) eval(j *judge) (abi.Verdict, string) {
	in, frame := c.in, j.view.frameOf(c.shape)
	if !in.memory.Write(in.buffer, frame) {
		return abi.Verdict{}, "bad pointer"
	}
	c.call.tank.start(c.call.limits.Fuel, c.call.prepaid, j.now, wall(&c.call.limits))
	in.stack[0], in.stack[1] = uint64(in.buffer), uint64(len(frame))
	if err := in.eval.CallWithStack(in.ctx, in.stack[:]); err != nil {
		return abi.Verdict{}, c.call.reason(err, in.full(c.loaded))
	}
	if c.call.dry() {
		return abi.Verdict{}, failedFuel
	}
	verdict, err := abi.UnpackVerdict(in.stack[0])
	switch {
	case err != nil:
		return abi.Verdict{}, "bad output: " + err.Error()
	case verdict.Status == abi.StatusError:
		return abi.Verdict{}, "guest error " + strconv.FormatUint(uint64(verdict.Code), 10)
	}
	return verdict, ""
}
