package gateway

import (
	"net/http"
	"time"

	"ticketing"
)

// playground is what the page shows on which a text is tried.
type playground struct {
	pluginTop
	Digest, Kind, Headline, Text, Config string // in the form
	From                                 string // which config that is, if the form begins with one
	Author, Days, Locale                 string
	Approved, Rejected, Held, Reports    string
	Kinds                                []string
	Result                               *tried
	Tried                                *ticketing.PluginVersion
	HeadlineMarks, TextMarks             []piece // with the words that the config names
	Marked                               bool
}

// Shown are the versions that can be tried.
func (p *playground) Shown() (all []ticketing.PluginVersion) {
	for _, v := range p.Versions {
		if v.State.Runnable() || v.State == ticketing.VersionQuarantined {
			all = append(all, v)
		}
	}
	return all
}

// Verdict is what the version wants, in a word for a badge.
func (p *playground) Verdict() string {
	switch o := &p.Result.Outcome; {
	case o.Failure != "":
		return "failed"
	case o.Abstain:
		return "abstained"
	default:
		return o.Action.String()
	}
}

func (g *Gateway) tryPage(c *call) error {
	p, err := g.newPlayground(c)
	if err != nil {
		return err
	}
	v, err := p.asked(c)
	if err != nil {
		return err
	}
	if p.Kind = "comment"; v != nil {
		p.Digest = v.Digest.String()
	}
	p.Config, p.From = g.preset(&p.pluginCard, v)
	return g.showTry(c, http.StatusOK, p, nil)
}

func (g *Gateway) newPlayground(c *call) (*playground, error) {
	top, err := g.pluginTop(c, "try")
	return &playground{pluginTop: top, Kinds: ruleKinds}, err
}

func (g *Gateway) showTry(c *call, status int, p *playground, f *faults) error {
	return g.render(c, status, "plugin_try.html", view{Title: "Playground: " + p.Name, Tab: "plugins", Faults: f, Data: p})
}

// tryForm tries a text, and shows what came of it above the form.
func (g *Gateway) tryForm(c *call) error {
	p, err := g.newPlayground(c)
	if err != nil {
		return err
	}
	f, err := c.form()
	if err != nil {
		return err
	}
	p.Digest, p.Kind, p.Headline, p.Text, p.Config = f.get("digest"), f.get("kind"), f.get("title"), f.get("text"), f.get("config")
	p.Author, p.Days, p.Locale = f.get("author"), f.get("days"), f.get("locale")
	p.Approved, p.Rejected, p.Held, p.Reports = f.get("approved"), f.get("rejected"), f.get("held"), f.get("reports")
	if err := p.judge(c, f); err != nil {
		return g.showAgain(c, err, func(status int, fs *faults) error { return g.showTry(c, status, p, fs) })
	}
	return g.showTry(c, http.StatusOK, p, nil)
}

// judge lets the version that the form names judge what it holds.
func (p *playground) judge(c *call, f *form) error {
	in, err := trialOf(f)
	if err != nil {
		return err
	}
	if p.Result, err = c.g.try(c, p.Name, in); err != nil {
		return err
	}
	p.Tried = p.Version(p.Result.Outcome.Digest)
	config := []byte(in.Config)
	if len(config) == 0 && p.Rule != nil {
		config = p.Rule.Config
	}
	words := namedWords(config)
	p.HeadlineMarks, p.TextMarks = marked(p.Headline, words), marked(p.Text, words)
	for _, m := range append(p.HeadlineMarks, p.TextMarks...) {
		p.Marked = p.Marked || m.Mark
	}
	return nil
}

// trialOf reads the form of a trial.
func trialOf(f *form) (*tryInput, error) {
	in := &tryInput{Title: f.get("title"), Text: f.get("text"), Author: f.get("author"), Locale: f.get("locale")}
	var err error
	if in.Digest, err = formDigest(f, "digest"); err != nil {
		return nil, err
	}
	if in.Config, err = formConfig(f); err != nil {
		return nil, err
	}
	var faults ticketing.Fields
	if in.Kind.UnmarshalText([]byte(f.get("kind"))) != nil {
		faults.Add("kind", "The kinds are post and comment.")
	}
	in.AuthorAge = int64(formNumber(&faults, f, "days", 36_500)) * (24 * time.Hour).Milliseconds()
	const most = 1_000_000
	in.Counts = ticketing.Counts{Approved: formNumber(&faults, f, "approved", most), Rejected: formNumber(&faults, f, "rejected", most),
		Held: formNumber(&faults, f, "held", most), Reports: formNumber(&faults, f, "reports", most)}
	return in, faults.Err()
}
