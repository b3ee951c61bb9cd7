package gateway

import (
	"ticketing"
)

// resumption is what the page shows that asks before a version is let out of quarantine.
type resumption struct {
	pluginTop
	Chosen *ticketing.PluginVersion // nil: the version that was named is not in quarantine
	Why    string
	Alone  bool // the rule is suspended because of it
}

// askResume asks before a version is let out of quarantine.
func (g *Gateway) askResume(c *call, status int, f *faults) error {
	top, err := g.pluginTop(c, "change/resume")
	if err != nil {
		return err
	}
	asked, err := c.query("version")
	if err != nil {
		return err
	}
	out := resumption{pluginTop: top}
	if c.sent != nil {
		asked, out.Why = c.sent.get("digest"), c.sent.get("why")
	}
	for i := range top.Versions {
		if v := &top.Versions[i]; v.State == ticketing.VersionQuarantined && (asked == "" || v.Digest.String() == asked) {
			out.Chosen = v
			out.Alone = top.Rule != nil && top.Rule.Active == v.Digest && !top.Rule.SuspendedUntil.IsZero()
			break
		}
	}
	return g.render(c, status, "plugin_resume.html", view{Title: "End the quarantine: " + top.Name, Tab: "plugins", Faults: f, Data: &out})
}

func (g *Gateway) resumeForm(c *call) error {
	name, err := c.name()
	if err != nil {
		return err
	}
	f, err := c.form()
	if err != nil {
		return err
	}
	d, err := formDigest(f, "digest")
	if err == nil {
		err = g.resume(c, name, d, f.get("why"))
	}
	if err != nil {
		return g.showAgain(c, err, func(status int, fs *faults) error { return g.askResume(c, status, fs) })
	}
	return c.seeNotice("/plugins/"+name, "resumed")
}
