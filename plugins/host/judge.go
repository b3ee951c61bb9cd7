package host

import (
	"context"
	"iter"
	"slices"

	"ticketing"
)

// failedQuarantine is the failure of a rule none of whose versions may judge.
const failedQuarantine = "quarantined"

// A judge is one goroutine's instances of a rule set.
type judge struct {
	host   *Host
	rules  []judgeRule
	casts  []cast
	keys   []instanceKey // of the contenders that began with an instance
	view   view
	ledger ledger
	now    int64 // of the host's clock, when the last call ended
	// searches is what the view's was when now was read last.
	searches uint64
}

// A judgeRule is one rule of a judge. What it does not have is nil.
type judgeRule struct {
	rule           ticketing.Rule
	kinds          [kinds]bool // of items that it judges
	active, canary *contender  // one of them judges
	previous       *contender  // judges what active failed on; started when it is first needed
	shadow         *contender
}

// kinds is one more than the last kind of item.
const kinds = ticketing.KindTicket + 1

// newJudge gives every rule an instance: that of the judge before, if there is one, or a spare, or else a new one. A trial has new ones alone. The judge
// takes over the references of acquire, unless there is an error.
func newJudge(h *Host, set ticketing.RuleSet, casts []cast, before *judge) (*judge, error) {
	j := &judge{host: h, casts: casts}
	j.view.joint = h.joint(casts)
	for i := range set.Rules {
		if set.Rules[i].Idle() {
			continue
		}
		j.rules = append(j.rules, judgeRule{rule: set.Rules[i]})
		r, c := &j.rules[len(j.rules)-1], &casts[i]
		for k := range kinds {
			r.kinds[k] = r.rule.Applies(k)
		}
		for _, s := range []struct {
			seat
			to **contender
		}{
			{seat{roleActive, r.rule.Version, c.active}, &r.active},
			{seat{roleActive, r.rule.PrevVersion, c.previous}, &r.previous},
			{seat{roleCanary, candidateVersion(r.rule.Canary), c.canary}, &r.canary},
			{seat{roleShadow, candidateVersion(r.rule.Shadow), c.shadow}, &r.shadow},
		} {
			*s.to = h.contender(&j.view, &r.rule, s.seat, h.books.open(&r.rule, s.seat, set.Generation, &j.ledger))
			if *s.to == nil || s.to == &r.previous {
				continue
			}
			j.keys = append(j.keys, (*s.to).key())
			if set.Generation != 0 {
				(*s.to).inherit(&j.view, before)
			}
			if err := (*s.to).start(&j.view); err != nil {
				j.stop()
				return nil, named(&r.rule, err)
			}
		}
	}
	return j, nil
}

func candidateVersion(c *ticketing.Candidate) string {
	if c == nil {
		return ""
	}
	return c.Version
}

// Judge implements ticketing.Judge.
func (j *judge) Judge(item *ticketing.Item, state ticketing.RuleState) ticketing.Judgement {
	out := ticketing.Judgement{Outcomes: make([]ticketing.RuleOutcome, 0, len(j.rules))}
	j.judge(item, state, &out)
	return out
}

// judge appends to the outcomes of a judgement.
func (j *judge) judge(item *ticketing.Item, state ticketing.RuleState, out *ticketing.Judgement) {
	j.view.show(item)
	j.now = j.host.clock()
	for i := range j.rules {
		switch r := &j.rules[i]; {
		case item.Kind < kinds && r.kinds[item.Kind]:
			j.apply(r, state, out)
		case r.rule.Watches(item.Kind):
			out.Shadows = append(out.Shadows, ticketing.ShadowOutcome{Alone: true})
			// Nothing of the rule judges, so its memory is the shadow's: without one, a rule that counts would find nothing.
			r.shadow.judge(j, state, &out.Shadows[len(out.Shadows)-1].RuleOutcome)
		}
	}
	for len(out.Reads) > 0 && len(out.Reads) < len(out.Outcomes) {
		out.Reads = append(out.Reads, nil)
	}
	j.ledger.show()
	for i := range out.Shadows {
		if s := &out.Shadows[i]; s.Alone {
			s.Actual = strictest(out.Outcomes)
		}
	}
}

// strictest is the action of all rules together.
func strictest(outcomes []ticketing.RuleOutcome) (a ticketing.Action) {
	for i := range outcomes {
		a = max(a, outcomes[i].Action)
	}
	return a
}

// apply judges by a rule. Its shadow comes first, on a state that is then put back: so neither sees what the other writes.
func (j *judge) apply(r *judgeRule, state ticketing.RuleState, out *ticketing.Judgement) {
	n := len(out.Outcomes)
	out.Outcomes = slices.Grow(out.Outcomes, 1)[:n+1]
	o := &out.Outcomes[n] // which is written as a whole
	shadows := len(out.Shadows)
	if r.shadow != nil {
		out.Shadows = append(out.Shadows, ticketing.ShadowOutcome{})
		r.shadow.rehearse(j, state, &out.Shadows[shadows].RuleOutcome)
	}
	if reads := r.judge(j, state, o); reads != nil {
		for len(out.Reads) < n {
			out.Reads = append(out.Reads, nil)
		}
		out.Reads = append(out.Reads, reads)
	}
	if r.shadow != nil {
		out.Shadows[shadows].Actual = o.Action
	}
}

// rehearse judges on a state that is put back as it was.
func (c *contender) rehearse(j *judge, state ticketing.RuleState, o *ticketing.RuleOutcome) {
	if state != nil {
		defer state.Rewind(state.Mark())
	}
	c.judge(j, state, o)
}

// judge asks the version whose turn it is, and if that fails, the last good one.
func (r *judgeRule) judge(j *judge, state ticketing.RuleState, o *ticketing.RuleOutcome) (reads []byte) {
	first, second := r.active, r.previous
	if r.canary != nil && r.rule.Canary.Chosen(r.rule.Name, j.view.item.Author.ID) {
		first, second = r.canary, r.active
	}
	if first == nil {
		*o = ticketing.RuleOutcome{
			Rule: r.rule.Name, Version: r.rule.Version, Digest: r.rule.Active, Config: ticketing.DigestOf(r.rule.Config),
			Failure: failedQuarantine, Action: onFailure(r.rule.OnFailure), Limits: set(r.rule.Limits),
		}
		return nil
	}
	reads = first.judge(j, state, o)
	if o.Failure == "" || second == nil {
		return reads
	}
	why := o.Failure
	reads = second.judge(j, state, o)
	o.FellBack = why
	return reads
}

// Next implements ticketing.Judge.
func (j *judge) Next(ctx context.Context, set ticketing.RuleSet) (ticketing.Judge, error) {
	next, err := j.host.open(ctx, set, j)
	if err != nil {
		return nil, ticketing.Wrap("host.Next", err)
	}
	return next, nil
}

// Close implements ticketing.Judge.
func (j *judge) Close() {
	j.host.replace(j, nil)
	j.stop()
	j.host.release(j.casts)
	j.casts, j.rules = nil, nil
}

func (j *judge) stop() {
	for c := range j.contenders() {
		c.close()
		j.host.books.close(c.tally)
	}
}

// contenders are those of all rules.
func (j *judge) contenders() iter.Seq[*contender] {
	return func(yield func(*contender) bool) {
		for i := range j.rules {
			r := &j.rules[i]
			for _, c := range [...]*contender{r.active, r.canary, r.previous, r.shadow} {
				if c != nil && !yield(c) {
					return
				}
			}
		}
	}
}
