package gateway

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"

	"ticketing"
	"ticketing/internal/labels"
)

// backtestPage is what the page of a backtest shows.
type backtestPage struct {
	ticketing.Backtest
	View   backtestView
	Config string
	Sides  []comparison
	Lists  []sampleList
}

// comparison is a confusion with its title.
type comparison struct {
	Title, Truth string
	confusionView
}

// sampleList is samples with their title.
type sampleList struct {
	Title, None string
	Count       uint64
	Samples     []ticketing.Sample
}

// Percent is how much of the stored decisions has been looked at.
func (p *backtestPage) Percent() int { return percent(p.Done, p.Total) }

func percent(done, total uint64) int {
	if total == 0 {
		return 0
	}
	return int(min(100*done/total, 100))
}

// share is a share for people.
func share(f float64) string { return strconv.FormatFloat(100*f, 'f', 1, 64) + " %" }

func (g *Gateway) backtestPage(c *call) error {
	b, err := g.findBacktest(c)
	if err != nil {
		return err
	}
	p := backtestPage{Backtest: b, View: viewBacktest(&b), Config: "{}"}
	if len(b.Config) > 0 {
		p.Config = readable(b.Config)
	}
	if r := p.View.Report; r != nil {
		p.Sides = []comparison{{"What rules decided", "held or rejected", r.Automatic}, {"What people decided", "rejected", r.Human}}
		if b.Labels > 0 {
			p.Sides = append(p.Sides, comparison{"What labels say", "bad by its label", viewConfusion(b.Report.Labels)})
		}
		p.Lists = []sampleList{
			{"Newly caught", "Everything that it would catch is caught now.", r.NewCaught, r.Caught},
			{"Newly released", "Everything that the rule alone catches now, it would catch, too.", r.NewFree, r.Released},
		}
	}
	return g.render(c, http.StatusOK, "backtest.html", view{Title: "Backtest of " + b.Rule + " " + b.Version, Tab: "plugins", Data: &p})
}

// backtestForm starts a backtest of a version, with the config and the labels that the form holds, and shows the form again if it may not.
func (g *Gateway) backtestForm(c *call) error {
	name, err := c.name()
	if err != nil {
		return err
	}
	f, err := c.form()
	if err != nil {
		return err
	}
	b, err := g.backtestFrom(c, name, f)
	if err != nil {
		return g.showAgain(c, err, func(status int, fs *faults) error { return g.showPlugin(c, status, f, fs) })
	}
	return c.seeOther("/plugins/backtests/" + b.ID.String())
}

func (g *Gateway) backtestFrom(c *call, name string, f *form) (b ticketing.Backtest, err error) {
	in := backtestInput{Rule: name}
	if in.Digest, err = formDigest(f, "active"); err != nil {
		return b, err
	}
	if in.Config, err = formConfig(f); err != nil {
		return b, err
	}
	if in.Labels, err = formLabels(f); err != nil {
		return b, err
	}
	return g.queueBacktest(c, &in)
}

// maxLabelsFile bounds a file of labels, in bytes. A form may have twice as many, so that a file that is too large can be told beside its field.
const maxLabelsFile = labelsLimit

// formLabels reads the labels that a form came with, none if no file was chosen.
func formLabels(f *form) ([]labelInput, error) {
	if f.fileName == "" {
		return nil, nil
	}
	if len(f.file) > maxLabelsFile {
		return nil, ticketing.InvalidField("labels", "A file of labels has at most %d MiB. It needs no columns but two: what names the item, and its label.", maxLabelsFile>>20)
	}
	var set labels.Set
	if err := set.Read("", bytes.NewReader(f.file), labels.Columns{}); err != nil {
		return nil, ticketing.InvalidField("labels", "The labels cannot be read: %v.", err)
	}
	if len(set.Labels) == 0 {
		return nil, ticketing.InvalidField("labels", "The file holds no label.")
	}
	all := make([]labelInput, len(set.Labels))
	for i, l := range set.Labels {
		all[i] = labelInput{l.ID, l.Key, l.Word()}
	}
	return all, nil
}

func (g *Gateway) cancelBacktestForm(c *call) error {
	if _, err := c.form(); err != nil {
		return err
	}
	b, err := g.stopBacktest(c)
	if err != nil {
		return err
	}
	return c.seeOther("/plugins/backtests/" + b.ID.String())
}

// recentBacktests is how many backtests the page of the plugins lists.
const recentBacktests = 10

// replayView is a replay for its page. Differs leaves out what cannot be compared.
type replayView struct {
	ticketing.Replay
	Differs bool
}

// replayPage shows a decision's outcomes as they are stored, and as they come out now.
func (g *Gateway) replayPage(c *call) error {
	r, err := g.replay(c)
	if err != nil {
		return err
	}
	differs := slices.ContainsFunc(r.Rules, func(o ticketing.RuleReplay) bool { return !o.Same && !o.Outside })
	return g.render(c, http.StatusOK, "replay.html", view{Title: "Replay of a decision", Tab: "plugins", Data: &replayView{r, differs}})
}
