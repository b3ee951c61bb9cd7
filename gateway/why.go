package gateway

import (
	"ticketing"
)

// judgedBy says who held or rejected an item, for its author.
type judgedBy struct {
	Person        bool
	Rule, Version string // empty: no rule could decide
	Failed        bool   // the rule could not judge it
}

// maxWhys bounds for how many items of a page it is looked up.
const maxWhys = 20

// whyNot finds who held or rejected an item, nil if nobody did or it is not known any more.
func (g *Gateway) whyNot(c *call, author, subject ticketing.ID, content *ticketing.Content) (*judgedBy, error) {
	if content.Status != ticketing.Held && content.Status != ticketing.Rejected {
		return nil, nil
	}
	all, err := g.s.Moderation.Decisions(c.context(), author, subject)
	if err != nil {
		return nil, ticketing.Wrap("gateway.whyNot", err)
	}
	for i := len(all) - 1; i >= 0; i-- {
		if d := &all[i]; d.Status == content.Status && d.Rev == content.Rev {
			return judgeOf(d), nil
		}
	}
	return nil, nil
}

// judgeOf finds whose answer counted: the first of the strictest.
func judgeOf(d *ticketing.Decision) *judgedBy {
	if !d.By.IsZero() {
		return &judgedBy{Person: true}
	}
	var worst *ticketing.RuleOutcome
	for i := range d.Rules {
		if o := &d.Rules[i]; !o.Abstain && (worst == nil || o.Action > worst.Action) {
			worst = o
		}
	}
	if worst == nil {
		return &judgedBy{}
	}
	return &judgedBy{Rule: worst.Rule, Version: worst.Version, Failed: worst.Failure != ""}
}

// whys says of the reader's own items in a thread who held or rejected them.
func (g *Gateway) whys(c *call, t *threadView) (err error) {
	if t.Mine {
		if t.Why, err = g.whyNot(c, t.Post.Author.ID, t.Post.ID, &t.Post.Content); err != nil {
			return err
		}
	}
	left := maxWhys
	explain := func(m *threadComment) error {
		if !m.Mine || left == 0 || m.Status != ticketing.Held && m.Status != ticketing.Rejected {
			return nil
		}
		left--
		m.Why, err = g.whyNot(c, m.Author.ID, m.ID, &m.Content)
		return err
	}
	if t.Linked != nil {
		if err := explain(t.Linked); err != nil {
			return err
		}
	}
	for i := range t.Thread {
		if err := explain(&t.Thread[i]); err != nil {
			return err
		}
	}
	return nil
}
