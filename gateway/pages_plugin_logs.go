package gateway

import (
	"net/http"
	"slices"

	"ticketing"
)

// ruleLines is what the page of a rule's log shows.
type ruleLines struct {
	pluginTop
	Level  string // the mildest that is shown; empty: all
	Levels []string
	Lines  []ticketing.RuleLog // newest first
	Kept   int                 // before they were narrowed
	Hidden int                 // lines that are left out until they are asked for
}

// logLevels are the levels of lines, mildest first.
var logLevels = []string{"debug", "info", "warn", "error"}

// logLength is how many lines the page of a rule's log looks at, and shownLines how many it shows before all are asked for.
const (
	logLength  = 200
	shownLines = 50
)

func (g *Gateway) logsPage(c *call) error {
	top, err := g.pluginTop(c, "logs")
	if err != nil {
		return err
	}
	out := ruleLines{pluginTop: top, Levels: logLevels}
	if out.Level, err = c.query("level"); err != nil {
		return err
	}
	from := max(slices.Index(logLevels, out.Level), 0)
	lines, err := g.s.Plugins.Logs(c.context(), top.Name, logLength)
	if err != nil {
		return ticketing.Wrap("gateway.logsPage", err)
	}
	out.Kept = len(lines)
	for _, l := range slices.Backward(lines) {
		if slices.Index(logLevels, l.Level) >= from {
			out.Lines = append(out.Lines, l)
		}
	}
	if all, err := c.query("all"); err != nil {
		return err
	} else if all == "" && len(out.Lines) > shownLines {
		out.Lines, out.Hidden = out.Lines[:shownLines], len(out.Lines)-shownLines
	}
	return g.render(c, http.StatusOK, "plugin_logs.html", view{Title: "Log: " + top.Name, Tab: "plugins", Data: &out})
}
