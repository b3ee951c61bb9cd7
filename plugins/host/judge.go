package host

import (
	"strconv"

	"ticketing"
	"ticketing/plugins/abi"
)

// recycleAt is the size of memory, in bytes, from which an instance is replaced.
const recycleAt = maxPages * pageSize / 4 * 3

// A judge is one goroutine's instances of a rule set.
type judge struct {
	host  *Host
	rules []*judgeRule
	held  []*loadedRule
	view  view
}

// A judgeRule is one rule of a judge.
type judgeRule struct {
	host   *Host
	rule   ticketing.Rule
	loaded *loadedRule
	call   *call
	in     *instance // nil after a failure, until the next call
	late   bool      // the last item's call hit the deadline
}

// newJudge starts an instance of every rule. The judge takes over the references.
func newJudge(h *Host, set ticketing.RuleSet, loaded []*loadedRule) (*judge, error) {
	j := &judge{host: h, held: loaded}
	for i, l := range loaded {
		if l == nil {
			continue
		}
		r := &judgeRule{host: h, rule: set.Rules[i], loaded: l}
		r.call = newCall(h, &r.rule, l.sets)
		in, err := l.start(h, r.call)
		if err != nil {
			j.stop()
			return nil, named(&r.rule, err)
		}
		r.in = in
		j.rules = append(j.rules, r)
	}
	return j, nil
}

// Judge implements ticketing.Judge.
func (j *judge) Judge(item *ticketing.Item, state ticketing.RuleState) ticketing.Judgement {
	j.view.show(item)
	outcomes := make([]ticketing.RuleOutcome, 0, len(j.rules))
	for _, r := range j.rules {
		if r.rule.Applies(item.Kind) {
			outcomes = append(outcomes, r.judge(&j.view, state))
		}
	}
	return ticketing.Judgement{Outcomes: outcomes}
}

// Close implements ticketing.Judge.
func (j *judge) Close() {
	j.stop()
	j.host.release(j.held)
	j.held, j.rules = nil, nil
}

func (j *judge) stop() {
	for _, r := range j.rules {
		r.discard()
	}
}

func (r *judgeRule) discard() {
	if r.in != nil {
		r.in.close()
		r.in = nil
	}
}

// judge asks one rule.
func (r *judgeRule) judge(v *view, state ticketing.RuleState) ticketing.RuleOutcome {
	o := ticketing.RuleOutcome{Rule: r.rule.Name, Version: r.rule.Version, Digest: r.rule.Active}
	verdict, failure := r.ask(v, state)
	if failure != "" {
		r.discard()
		o.Failure, o.Action = failure, onFailure(r.rule.OnFailure)
		r.host.opts.Log.Debug("rule failed", "rule", r.rule.Name, "version", r.rule.Version, "item", v.item.ID, "failure", failure)
		return o
	}
	o.Abstain, o.Action, o.Score = verdict.Status == abi.StatusAbstain, verdict.Action, verdict.Score
	o.Severe, o.Code, o.Labels, o.Detail = verdict.Severity, verdict.Code, r.call.labels, r.call.detail
	if r.in.memory.Size() > recycleAt {
		r.discard()
	}
	return o
}

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
func (r *judgeRule) ask(v *view, state ticketing.RuleState) (verdict abi.Verdict, failure string) {
	verdict, failure = r.attempt(v, state)
	if failure == failedLate && !r.late {
		r.discard()
		verdict, failure = r.attempt(v, state)
	}
	r.late = failure == failedLate
	return verdict, failure
}

// attempt runs one call, with a fresh instance if the last one failed. What a failed call counted is taken back.
func (r *judgeRule) attempt(v *view, state ticketing.RuleState) (verdict abi.Verdict, failure string) {
	defer func() {
		if p := recover(); p != nil { // a fault of ours or of the state: the item is held, the node lives
			r.host.opts.Log.Error("a rule's call failed in the host", "rule", r.rule.Name, "panic", p)
			verdict, failure = abi.Verdict{}, "host error"
		}
	}()
	if r.in == nil {
		in, err := r.loaded.start(r.host, r.call)
		if err != nil {
			r.host.opts.Log.Debug("rule does not start", "rule", r.rule.Name, "err", err)
			return verdict, "cannot start"
		}
		r.in = in
	}
	r.call.begin(v, state)
	if verdict, failure = r.eval(v); failure != "" {
		r.call.undo()
	}
	return verdict, failure
}

// eval calls tk_eval.
func (r *judgeRule) eval(v *view) (abi.Verdict, string) {
	in, frame := r.in, v.frameFor(r.in.room)
	if !in.memory.Write(in.buffer, frame) {
		return abi.Verdict{}, "bad pointer"
	}
	in.stack[0], in.stack[1] = uint64(in.buffer), uint64(len(frame))
	if err := r.call.limit.call(in.ctx, in.eval, in.stack[:], r.host.opts.EvalTime); err != nil {
		return abi.Verdict{}, r.call.reason(err)
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
